//! What a policy keeps, by hand: clocks that change, weeks at the turn of the year, equal times, damaged
//! sources, restores; and the words in which a policy is given.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder::model::id::SnapshotId;
use larder::ops::retention::{
    Age, Candidate, Count, Deed, Filter, GroupBy, Moment, Period, Policy, Rule, TagSet, judge,
};

/// `2026-10-25T00:30Z`, and behind a blank the marks: `damaged`, `pinned`, `#tag`.
fn candidate(number: usize, line: &str) -> Candidate {
    let mut words = line.split(' ');
    let time: Timestamp = words.next().unwrap().parse().unwrap();
    let marks: Vec<&str> = words.collect();
    Candidate {
        id: SnapshotId::new(time.as_second(), [u8::try_from(number).unwrap(); 16]),
        time,
        tags: marks
            .iter()
            .filter_map(|m| m.strip_prefix('#'))
            .map(str::to_owned)
            .collect(),
        host: "h".to_owned(),
        source: "app.db".to_owned(),
        path: "/data/app.db".to_owned(),
        pinned: marks.contains(&"pinned"),
        damaged: marks.contains(&"damaged"),
        of_restore: false,
        uncommitted: false,
        deed: None,
    }
}

/// Reasons of each candidate, in their order; empty: it is forgotten.
fn reasons(all: &[Candidate], rules: &[Rule], zone: &str) -> Vec<String> {
    let moment = Moment {
        now: "2027-06-01T00:00Z".parse().unwrap(),
        zone: TimeZone::get(zone).unwrap(),
    };
    let policy = Policy::new(rules.to_vec());
    let groups = judge(
        all,
        &policy,
        &Filter::default(),
        GroupBy::default(),
        &moment,
    );
    let mut said = vec![String::new(); all.len()];
    for judged in groups.iter().flat_map(|group| &group.snapshots) {
        let reasons: Vec<String> = judged.reasons.iter().map(ToString::to_string).collect();
        said[judged.index] = reasons.join(", ");
    }
    said
}

#[track_caller]
fn check(zone: &str, rules: &[Rule], lines: &[(&str, &str)]) {
    let lines_in = lines.iter().enumerate();
    let all: Vec<Candidate> = lines_in.map(|(n, (line, _))| candidate(n, line)).collect();
    let said = reasons(&all, rules, zone);
    for ((line, expected), said) in lines.iter().zip(&said) {
        assert_eq!(said, expected, "{line} by {rules:?}: {said:?}");
    }
}

fn each(period: Period, n: u32) -> Rule {
    Rule::Each(period, Count::Of(n))
}

fn within(age: &str) -> Rule {
    Rule::Within(age.parse().unwrap())
}

const BERLIN: &str = "Europe/Berlin";

#[test]
fn where_clocks_go_back_the_hour_that_comes_twice_is_two_hours_of_one_day() {
    let lines = |second, first| {
        [
            ("2026-10-25T01:30Z", second), // 02:30 +01:00
            ("2026-10-25T00:30Z", first),  // 02:30 +02:00
            ("2026-10-24T23:30Z", ""),     // 01:30
        ]
    };
    check(BERLIN, &[each(Period::Hour, 2)], &lines("hourly", "hourly"));
    check(BERLIN, &[each(Period::Day, 2)], &lines("daily", ""));
    // An hour more, and the day has 25 of them.
    let lines = [
        ("2026-10-25T22:30Z", "daily"),
        ("2026-10-24T22:00Z", ""),
        ("2026-10-24T21:59Z", "daily"),
    ];
    check(BERLIN, &[each(Period::Day, 2)], &lines);
}

#[test]
fn where_clocks_go_forward_a_day_of_age_is_a_day_of_the_calendar() {
    let lines = |at_23, at_24| {
        [
            ("2026-03-29T10:00Z", "within 1d"), // 12:00 +02:00
            ("2026-03-28T11:00Z", at_23),       // 12:00 +01:00
            ("2026-03-28T10:00Z", at_24),       // 11:00 +01:00
        ]
    };
    check(BERLIN, &[within("1d")], &lines("within 1d", ""));
    let lines = lines("within 24h", "within 24h").map(|(time, said)| {
        (
            time,
            match said {
                "within 1d" => "within 24h",
                said => said,
            },
        )
    });
    check(BERLIN, &[within("24h")], &lines);
    let hours = [
        ("2026-03-29T01:30Z", "hourly"),
        ("2026-03-29T00:30Z", "hourly"),
        ("2026-03-29T00:10Z", ""),
    ];
    check(BERLIN, &[each(Period::Hour, 9)], &hours);
}

/// On 2010-11-07 at 00:01 clocks went back to 23:01 of the day before.
#[test]
fn a_day_that_comes_back_is_one_day() {
    let lines = [
        ("2010-11-07T04:00Z", "daily"), // 00:30 of the 7th
        ("2010-11-07T03:00Z", "daily"), // 23:30 of the 6th
        ("2010-11-07T02:30:30Z", ""),   // 00:00:30 of the 7th
    ];
    check("America/St_Johns", &[each(Period::Day, 3)], &lines);
}

#[test]
fn days_months_and_years_are_local() {
    let lines = [
        ("2026-12-31T23:30Z", "monthly, yearly"),
        ("2026-12-31T22:30Z", "monthly, yearly"),
        ("2026-12-01T00:00Z", ""),
    ];
    let rules = [each(Period::Month, 2), each(Period::Year, 2)];
    check(BERLIN, &rules, &lines);
    let lines = [
        ("2026-12-31T23:30Z", "monthly, yearly"),
        ("2026-12-31T22:30Z", ""),
        ("2026-11-30T23:59Z", "monthly"),
        ("2025-06-01T00:00Z", "yearly"),
    ];
    check("UTC", &rules, &lines);
}

#[test]
fn weeks_are_those_of_iso_8601_at_the_turn_of_a_year_too() {
    let lines = [
        ("2027-01-04T12:00Z", "weekly"), // Monday of week 1
        ("2027-01-03T12:00Z", "weekly"), // Sunday of week 53 of 2026
        ("2027-01-01T12:00Z", ""),
        ("2026-12-28T12:00Z", ""), // its Monday
        ("2026-12-27T12:00Z", "weekly"),
    ];
    check("UTC", &[each(Period::Week, 3)], &lines);
    let lines = [
        ("2024-12-31T12:00Z", "weekly"), // week 1 of 2025
        ("2024-12-30T12:00Z", ""),
        ("2024-12-29T12:00Z", "weekly"), // week 52 of 2024
        ("2024-01-01T12:00Z", "weekly"), // week 1 of 2024
        ("2023-12-31T12:00Z", "weekly"), // week 52 of 2023
    ];
    check("UTC", &[each(Period::Week, 9)], &lines);
}

#[test]
fn of_equal_times_the_greater_id_is_the_newer_one() {
    let lines = [
        ("2026-11-23T20:15:30Z", ""),
        ("2026-11-23T20:15:30Z", "last, hourly"),
    ];
    check(
        "UTC",
        &[Rule::Last(Count::Of(1)), each(Period::Hour, 5)],
        &lines,
    );
}

#[test]
fn ages_are_counted_from_the_newest_and_not_from_now() {
    let lines = [
        ("2026-03-31T12:00Z", "within 1m"),
        ("2026-02-28T12:00Z", "within 1m"), // the last day that February has
        ("2026-02-28T11:59Z", ""),
    ];
    check("UTC", &[within("1m")], &lines);
    // What lies in the future ages nothing.
    let lines = [
        ("2027-06-09T00:00Z", "within 1d"),
        ("2026-01-02T00:00Z", "within 1d"),
        ("2026-01-01T00:00Z", "within 1d"),
        ("2025-12-31T00:00Z", ""),
    ];
    check("UTC", &[within("1d")], &lines);
    // Else it would take the place of the one that ages are counted from; without that, others were younger.
    let lines = [
        ("2027-06-01T12:00Z", "weekly within 0h"),
        ("2027-05-31T12:00Z", "weekly within 0h"),
        ("2026-01-01T00:00Z", ""),
    ];
    let rule = Rule::EachWithin(Period::Week, Age::default());
    check("UTC", &[rule], &lines);
    let rule = Rule::EachWithin(Period::Day, "2d".parse().unwrap());
    let lines = [
        ("2026-01-03T12:00Z", "daily within 2d"),
        ("2026-01-03T11:00Z", ""),
        ("2026-01-01T13:00Z", "daily within 2d"),
        ("2025-12-31T13:00Z", ""),
    ];
    check("UTC", &[rule], &lines);
}

#[test]
fn a_damaged_snapshot_never_displaces_a_good_one() {
    let lines = [
        ("2026-11-24T10:00Z damaged", "last, daily"),
        ("2026-11-23T20:00Z damaged", "daily"),
        ("2026-11-23T10:00Z", "last not damaged, daily not damaged"),
        ("2026-11-22T10:00Z", "daily not damaged"),
        ("2026-11-21T10:00Z", ""),
        ("2026-11-20T10:00Z damaged", ""),
    ];
    let rules = [Rule::Last(Count::Of(1)), each(Period::Day, 2)];
    check("UTC", &rules, &lines);
}

#[test]
fn pins_and_tags_keep_whatever_else_is_said() {
    let lines = [
        ("2026-11-24T10:00Z", "last"),
        ("2026-11-23T10:00Z pinned", "pinned"),
        ("2026-11-22T10:00Z #a #b", "tag a,b, tag b"),
        ("2026-11-21T10:00Z #a", ""),
        ("2026-11-20T10:00Z #b pinned", "tag b, pinned"),
    ];
    let tags = ["a,b", "b"].map(|tags| Rule::Tags(tags.parse::<TagSet>().unwrap()));
    let [both, b] = tags;
    check("UTC", &[Rule::Last(Count::Of(1)), both, b], &lines);
    let lines = [
        ("2026-11-24T10:00Z #a", ""),
        ("2026-11-23T10:00Z", "no tags"),
    ];
    check("UTC", &[Rule::Tags("".parse().unwrap())], &lines);
}

#[test]
fn zero_keeps_nothing_and_unlimited_everything() {
    let lines = [("2026-11-24T10:00Z", ""), ("2025-11-23T10:00Z", "")];
    check(
        "UTC",
        &[Rule::Last(Count::Of(0)), each(Period::Day, 0)],
        &lines,
    );
    let lines = [
        ("2026-11-24T10:00Z", "yearly"),
        ("2026-01-23T10:00Z", ""),
        ("1970-11-23T10:00Z", "yearly"),
    ];
    check("UTC", &[Rule::Each(Period::Year, Count::Unlimited)], &lines);
}

fn of_restore(mut candidate: Candidate, deed: Option<Deed>) -> Candidate {
    candidate.of_restore = true;
    candidate.deed = deed;
    candidate
}

/// Restore A, restore B, undo of B, all long ago; and one before a restore that was never made.
#[test]
fn of_old_restores_the_last_one_is_kept_with_what_it_undid() {
    let before = |n: usize, time| of_restore(candidate(n, time), None);
    let (a0, b0, u0) = (
        before(0, "2026-01-01T10:00Z"),
        before(2, "2026-01-02T10:00Z"),
        before(4, "2026-01-03T10:00Z"),
    );
    let after = |n: usize, time, before: &Candidate, undoes: Option<&Candidate>| {
        let deed = Deed {
            before: before.id.clone(),
            undoes: undoes.map(|undone| undone.id.clone()),
        };
        of_restore(candidate(n, time), Some(deed))
    };
    let a1 = after(1, "2026-01-01T10:01Z", &a0, None);
    let b1 = after(3, "2026-01-02T10:01Z", &b0, None);
    let u1 = after(5, "2026-01-03T10:01Z", &u0, Some(&b1));
    let alone = before(6, "2025-12-01T10:00Z");
    let own = candidate(7, "2025-01-01T10:00Z");
    let all = [a0, a1, b0, b1, u0, u1, alone, own];
    let said = reasons(&all, &[Rule::Last(Count::Of(1))], "UTC");
    let last = "last restore";
    assert_eq!(said, ["", "", last, last, last, last, "", "last"]);
    // Of what may still come to count nothing is forgotten.
    let mut killed = all.clone();
    killed[1].uncommitted = true;
    let said = reasons(&killed, &[Rule::Last(Count::Of(1))], "UTC");
    assert_eq!(said[..2], ["recent restore", "recent restore, uncommitted"]);
}

#[test]
fn the_words_of_a_policy_are_understood_or_refused() {
    let age: Age = "2y5m7d3h".parse().unwrap();
    assert_eq!(
        (age.years, age.months, age.weeks, age.days, age.hours),
        (2, 5, 0, 7, 3)
    );
    for (word, shown) in [("30d", "30d"), ("2w", "2w"), ("3h2y", "2y3h"), ("0d", "0h")] {
        assert_eq!(word.parse::<Age>().unwrap().to_string(), shown);
    }
    for word in [
        "",
        "d",
        "7",
        "7x",
        "7d7d",
        "-1d",
        "1.5d",
        "7 d",
        "999999d",
        "99999999999d",
        "7ü",
    ] {
        assert!(word.parse::<Age>().is_err(), "{word:?}");
    }
    assert_eq!("7".parse(), Ok(Count::Of(7)));
    for word in ["unlimited", "-1"] {
        assert_eq!(word.parse(), Ok(Count::Unlimited));
    }
    for word in ["", "-2", "x", "1.0", "4294967296"] {
        assert!(word.parse::<Count>().is_err(), "{word:?}");
    }
    assert_eq!("source,host".parse(), Ok(GroupBy::default()));
    let none: GroupBy = "".parse().unwrap();
    assert!(!none.source && !none.host && !none.tags);
    assert!("host,colour".parse::<GroupBy>().is_err());
    // Older than the calendar: everything.
    let all: Age = "100000y".parse().unwrap();
    assert_eq!(all.before(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
}
