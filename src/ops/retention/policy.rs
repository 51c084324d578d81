//! The words of a policy: counts, periods, ages, tags; which snapshots it is about, and how they are grouped.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Candidate;

/// A word that is none of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadWord(String);

/// Rules; what any of them keeps is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The rules.
    pub rules: Vec<Rule>,
    /// For how long `undo` can take restores back; the last one into a database always.
    pub keep_undo: Age,
}

impl Policy {
    /// What undo needs is kept for so many days, unless somebody says otherwise.
    pub const UNDO_DAYS: u32 = 30;

    /// A policy of these rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            keep_undo: Age {
                days: Self::UNDO_DAYS,
                ..Age::default()
            },
        }
    }

    /// True if no rule can keep anything.
    pub fn is_empty(&self) -> bool {
        let keeps = |rule: &Rule| match rule {
            Rule::Last(count) | Rule::Each(_, count) => *count != Count::Of(0),
            Rule::Within(_) | Rule::EachWithin(..) | Rule::Tags(_) => true,
        };
        !self.rules.iter().any(keeps)
    }
}

/// What keeps snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The newest so many.
    Last(Count),
    /// The newest of each of the last so many periods that have a snapshot.
    Each(Period, Count),
    /// All that are at most so much older than the newest.
    Within(Age),
    /// The newest of each period, of those that are at most so much older than the newest.
    EachWithin(Period, Age),
    /// All that have these tags.
    Tags(TagSet),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(_) => f.write_str("last"),
            Self::Each(period, _) => f.write_str(period.name()),
            Self::Within(age) => write!(f, "within {age}"),
            Self::EachWithin(period, age) => write!(f, "{} within {age}", period.name()),
            Self::Tags(TagSet(tags)) if tags.is_empty() => f.write_str("no tags"),
            Self::Tags(TagSet(tags)) => write!(f, "tag {}", tags.join(",")),
        }
    }
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Of(u32),
    /// All.
    Unlimited,
}

impl Count {
    /// True if there may be one more than so many.
    pub fn allows(self, taken: usize) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Of(max) => u32::try_from(taken).is_ok_and(|taken| taken < max),
        }
    }
}

impl FromStr for Count {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word {
            "unlimited" | "-1" => Ok(Self::Unlimited),
            _ => word.parse().map(Self::Of).map_err(|_| {
                BadWord("a whole number from 0 on, or unlimited, is expected".to_owned())
            }),
        }
    }
}

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// An hour of the clock. Where clocks go back, the hour that comes twice is two hours.
    Hour,
    /// A day, from midnight.
    Day,
    /// A week by ISO 8601, from Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// `daily`
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// The period of this sort in which a time lies: equal numbers, same period.
    pub(super) fn of(self, time: Timestamp, zone: &TimeZone) -> [i32; 5] {
        let local = time.to_zoned_datetime(zone.clone());
        let (year, month, day) = (local.year(), local.month(), local.day());
        let (year, month, day) = (i32::from(year), i32::from(month), i32::from(day));
        match self {
            Self::Hour => {
                let hour = i32::from(local.hour());
                [year, month, day, hour, local.offset().seconds()]
            }
            Self::Day => [year, month, day, 0, 0],
            Self::Week => {
                let week = local.date().iso_week_date();
                [i32::from(week.year()), i32::from(week.week()), 0, 0, 0]
            }
            Self::Month => [year, month, 0, 0, 0],
            Self::Year => [year, 0, 0, 0, 0],
        }
    }
}

/// A length of time by the calendar: `2y5m7d3h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Age {
    /// Years.
    pub years: u32,
    /// Months.
    pub months: u32,
    /// Weeks.
    pub weeks: u32,
    /// Days.
    pub days: u32,
    /// Hours.
    pub hours: u32,
}

impl Age {
    /// The largest number of any unit: what is older than any snapshot.
    const NUMBER_MAX: u32 = 100_000;

    /// The time so much before another one; `None` if the calendar does not go back so far.
    ///
    /// The day of the month is the last one where that month has fewer; hours are hours of time, the rest is
    /// counted on the local calendar.
    pub fn before(&self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let span = Span::new()
            .try_years(self.years)
            .and_then(|span| span.try_months(self.months))
            .and_then(|span| span.try_weeks(self.weeks))
            .and_then(|span| span.try_days(self.days))
            .and_then(|span| span.try_hours(self.hours))
            .ok()?;
        let then = time
            .to_zoned_datetime(zone.clone())
            .checked_sub(span)
            .ok()?;
        Some(then.timestamp())
    }

    fn part_mut(&mut self, unit: char) -> Option<&mut u32> {
        match unit {
            'y' => Some(&mut self.years),
            'm' => Some(&mut self.months),
            'w' => Some(&mut self.weeks),
            'd' => Some(&mut self.days),
            'h' => Some(&mut self.hours),
            _ => None,
        }
    }
}

impl FromStr for Age {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let expected = || {
            BadWord(
                "a length of time is expected, as 30d or 2y5m7d3h: years, months, weeks, days, hours"
                    .to_owned(),
            )
        };
        let mut age = Self::default();
        let mut units = String::new();
        let mut rest = word;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit());
            let (digits, behind) = rest.split_at(digits.ok_or_else(expected)?);
            let unit = behind.chars().next().ok_or_else(expected)?;
            let number: u32 = digits.parse().map_err(|_| expected())?;
            let part = age.part_mut(unit).ok_or_else(expected)?;
            if units.contains(unit) || number > Self::NUMBER_MAX {
                return Err(expected());
            }
            units.push(unit);
            *part = number;
            rest = behind.get(unit.len_utf8()..).unwrap_or_default();
        }
        match units.is_empty() {
            true => Err(expected()),
            false => Ok(age),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.years, 'y'),
            (self.months, 'm'),
            (self.weeks, 'w'),
            (self.days, 'd'),
            (self.hours, 'h'),
        ];
        let given: Vec<_> = parts.iter().filter(|(number, _)| *number > 0).collect();
        if given.is_empty() {
            return f.write_str("0h");
        }
        given
            .iter()
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

/// Tags that a snapshot has all of: `a,b`. The empty one fits what has no tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSet(pub Vec<String>);

impl TagSet {
    /// True if all of them are among these.
    pub fn fit(&self, tags: &[String]) -> bool {
        match self.0.is_empty() {
            true => tags.is_empty(),
            false => self.0.iter().all(|tag| tags.contains(tag)),
        }
    }
}

impl FromStr for TagSet {
    type Err = std::convert::Infallible;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let tags = word.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        Ok(Self(tags.map(str::to_owned).collect()))
    }
}

/// Which snapshots a policy is about. Of each list that is not empty one must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tags.
    pub tags: Vec<TagSet>,
    /// Machines.
    pub hosts: Vec<String>,
    /// Names or paths of sources.
    pub sources: Vec<String>,
}

impl Filter {
    /// True if it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.hosts.is_empty() && self.sources.is_empty()
    }

    /// True if the policy is about this one.
    pub fn lets_through(&self, candidate: &Candidate) -> bool {
        let is_of = |source: &String| *source == candidate.source || *source == candidate.path;
        (self.tags.is_empty() || self.tags.iter().any(|tags| tags.fit(&candidate.tags)))
            && (self.hosts.is_empty() || self.hosts.contains(&candidate.host))
            && (self.sources.is_empty() || self.sources.iter().any(is_of))
    }
}

/// What the snapshots of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBy {
    /// The name of their source, or its path.
    pub source: bool,
    /// The machine.
    pub host: bool,
    /// All tags.
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self {
            source: true,
            host: true,
            tags: false,
        }
    }
}

impl FromStr for GroupBy {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let mut by = Self {
            source: false,
            host: false,
            tags: false,
        };
        let words = word.split(',').map(str::trim);
        for word in words.filter(|word| !word.is_empty()) {
            match word {
                "source" => by.source = true,
                "host" => by.host = true,
                "tags" => by.tags = true,
                word => {
                    let expected = "there are source, host and tags, with commas between";
                    return Err(BadWord(format!("{word:?} is none of them: {expected}")));
                }
            }
        }
        Ok(by)
    }
}
