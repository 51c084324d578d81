//! What a policy keeps, for random snapshots and rules: what holds for every one of them, and the same again
//! told by a definition that shares nothing with the code.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use larder::model::id::SnapshotId;
use larder::ops::retention::{
    Age, Candidate, Count, Deed, Filter, GroupBy, Moment, Period, Policy, Rule, TagSet, judge,
};
use proptest::prelude::*;

use crate::sandbox::scale;

/// 2026-11-23 20:15:30 UTC.
const NOW: i64 = 1_795_464_930;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn moment() -> Moment {
    Moment {
        now: Timestamp::from_second(NOW).unwrap(),
        zone: berlin(),
    }
}

fn id(second: i64, number: usize) -> SnapshotId {
    SnapshotId::new(second, (number as u128).to_be_bytes())
}

fn ordinary(number: usize, second: i64) -> Candidate {
    Candidate {
        id: id(second, number),
        time: Timestamp::from_second(second).unwrap(),
        tags: Vec::new(),
        host: "h".to_owned(),
        source: "a.db".to_owned(),
        path: "/a.db".to_owned(),
        pinned: false,
        damaged: false,
        of_restore: false,
        uncommitted: false,
        deed: None,
    }
}

/// Times that lie close together, days apart, or years; some in the future, some equal.
fn second() -> impl Strategy<Value = i64> {
    let hour = 3600;
    prop_oneof![
        4 => (0..40_i64).prop_map(move |n| NOW - n * hour / 2),
        4 => (0..60_i64).prop_map(move |n| NOW - n * 17 * hour),
        4 => (0..500_i64).prop_map(move |n| NOW - n * 24 * hour * 3),
        1 => (1..50_i64).prop_map(move |n| NOW + n * 13 * hour),
    ]
}

fn snapshots() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (second(), 0..4_u8, 0..10_u8, 0..8_u8, 0..6_u8);
    proptest::collection::vec(one, 0..40).prop_map(|drawn| {
        let candidates = drawn.into_iter().enumerate();
        let candidates = candidates.map(|(number, (second, tags, damaged, pinned, group))| {
            let mut candidate = ordinary(number, second);
            let named = ["x", "y"].into_iter().enumerate();
            candidate.tags = named
                .filter(|(bit, _)| tags >> bit & 1 == 1)
                .map(|(_, tag)| tag.to_owned())
                .collect();
            candidate.damaged = damaged < 3;
            candidate.pinned = pinned == 0;
            if group == 0 {
                candidate.source = "b.db".to_owned();
                candidate.path = "/b.db".to_owned();
            } else if group == 1 {
                candidate.host = "other".to_owned();
            }
            candidate
        });
        candidates.collect()
    })
}

/// Restores into a database and undos of them, one after the other; some killed, some without a snapshot
/// after.
fn restores() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (1..40_i64, 0..8_u8, any::<prop::sample::Index>());
    proptest::collection::vec(one, 0..14).prop_map(|drawn| {
        let mut all = Vec::new();
        let mut afters: Vec<SnapshotId> = Vec::new();
        let mut at = NOW - 150 * 86_400;
        for (number, (days, what, which)) in drawn.into_iter().enumerate() {
            at += days * 86_400;
            let before = Candidate {
                of_restore: true,
                tags: vec!["before-restore".to_owned()],
                ..ordinary(1000 + 2 * number, at)
            };
            let after = Candidate {
                of_restore: true,
                uncommitted: what == 1,
                tags: vec!["after-restore".to_owned()],
                deed: Some(Deed {
                    before: before.id.clone(),
                    undoes: match afters.as_slice() {
                        afters if what >= 4 && !afters.is_empty() => {
                            Some(which.get(afters).clone())
                        }
                        _ => None,
                    },
                }),
                ..ordinary(1001 + 2 * number, at + 1)
            };
            all.push(before);
            if what > 0 {
                afters.push(after.id.clone());
                all.push(after);
            }
        }
        all
    })
}

fn count() -> impl Strategy<Value = Count> {
    prop_oneof![6 => (0..6_u32).prop_map(Count::Of), 1 => Just(Count::Unlimited)]
}

fn age() -> impl Strategy<Value = Age> {
    (0..2_u32, 0..3_u32, 0..3_u32, 0..9_u32, 0..30_u32).prop_map(
        |(years, months, weeks, days, hours)| Age {
            years,
            months,
            weeks,
            days,
            hours,
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    let period = || prop::sample::select(Period::ALL.to_vec());
    let tags = prop::sample::select(vec!["x", "y", "x,y", "z", ""]);
    prop_oneof![
        2 => count().prop_map(Rule::Last),
        4 => (period(), count()).prop_map(|(period, count)| Rule::Each(period, count)),
        1 => age().prop_map(Rule::Within),
        2 => (period(), age()).prop_map(|(period, age)| Rule::EachWithin(period, age)),
        1 => tags.prop_map(|tags| Rule::Tags(tags.parse::<TagSet>().unwrap())),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    proptest::collection::vec(rule(), 0..4)
}

fn kept(candidates: &[Candidate], rules: &[Rule]) -> BTreeSet<SnapshotId> {
    let policy = Policy::new(rules.to_vec());
    let groups = judge(
        candidates,
        &policy,
        &Filter::default(),
        GroupBy::default(),
        &moment(),
    );
    let judged: Vec<_> = groups.iter().flat_map(|group| &group.snapshots).collect();
    assert_eq!(judged.len(), candidates.len(), "each is judged once");
    let kept = judged
        .into_iter()
        .filter(|judged| !judged.reasons.is_empty());
    kept.map(|judged| candidates[judged.index].id.clone())
        .collect()
}

fn of(candidates: &[Candidate], kept: &BTreeSet<SnapshotId>) -> Vec<Candidate> {
    let is_kept = |candidate: &&Candidate| kept.contains(&candidate.id);
    candidates.iter().filter(is_kept).cloned().collect()
}

/// A rule that keeps no less.
fn widened(rule: &Rule) -> Rule {
    let more = |count: &Count| match count {
        Count::Of(n) => Count::Of(n + 1),
        Count::Unlimited => Count::Unlimited,
    };
    let older = |age: &Age| Age {
        days: age.days + 1,
        ..*age
    };
    match rule {
        Rule::Last(count) => Rule::Last(more(count)),
        Rule::Each(period, count) => Rule::Each(*period, more(count)),
        Rule::Within(age) => Rule::Within(older(age)),
        Rule::EachWithin(period, age) => Rule::EachWithin(*period, older(age)),
        Rule::Tags(tags) => Rule::Tags(tags.clone()),
    }
}

fn keeps_anything(rule: &Rule) -> bool {
    match rule {
        Rule::Last(count) | Rule::Each(_, count) => *count != Count::Of(0),
        Rule::Within(_) | Rule::EachWithin(..) => true,
        Rule::Tags(_) => false,
    }
}

/// The period in which a time lies, as text.
fn named_period(period: Period, time: Timestamp) -> String {
    let form = match period {
        Period::Hour => "%Y-%m-%d %H %z",
        Period::Day => "%Y-%m-%d",
        Period::Week => "%G-W%V",
        Period::Month => "%Y-%m",
        Period::Year => "%Y",
    };
    time.to_zoned_datetime(berlin()).strftime(form).to_string()
}

/// Whether a rule keeps `one` among `others` of its group, as docs/retention.md says it.
fn says_the_page(rule: &Rule, one: &Candidate, others: &[&Candidate]) -> bool {
    let newer: Vec<&&Candidate> = others
        .iter()
        .filter(|other| (other.time, &other.id) > (one.time, &one.id))
        .collect();
    let is_future = |one: &Candidate| one.time > moment().now;
    let same = |period: Period, other: &Candidate| {
        named_period(period, other.time) == named_period(period, one.time)
    };
    let is_within = |age: &Age| {
        let past = others.iter().map(|other| other.time);
        let Some(newest) = past.filter(|time| *time <= moment().now).max() else {
            return true;
        };
        if is_future(one) {
            return true;
        }
        let span = Span::new()
            .years(age.years)
            .months(age.months)
            .weeks(age.weeks)
            .days(age.days)
            .hours(age.hours);
        let oldest = newest
            .to_zoned_datetime(berlin())
            .checked_sub(span)
            .unwrap();
        one.time >= oldest.timestamp()
    };
    let below = |count: &Count, n: usize| match count {
        Count::Of(max) => n < *max as usize,
        Count::Unlimited => true,
    };
    match rule {
        Rule::Last(count) => below(count, newer.len()),
        Rule::Each(period, count) => {
            let later: BTreeSet<String> = newer
                .iter()
                .map(|other| named_period(*period, other.time))
                .collect();
            !newer.iter().any(|other| same(*period, other)) && below(count, later.len())
        }
        Rule::Within(age) => is_within(age),
        Rule::EachWithin(period, age) => {
            let mut past = newer.iter().filter(|other| !is_future(other));
            is_future(one) || (!past.any(|other| same(*period, other)) && is_within(age))
        }
        Rule::Tags(TagSet(tags)) if tags.is_empty() => one.tags.is_empty(),
        Rule::Tags(TagSet(tags)) => tags.iter().all(|tag| one.tags.contains(tag)),
    }
}

fn by_group(candidates: &[Candidate]) -> BTreeMap<(String, String), Vec<&Candidate>> {
    let mut groups = BTreeMap::<_, Vec<&Candidate>>::new();
    for candidate in candidates {
        let key = (candidate.source.clone(), candidate.host.clone());
        groups.entry(key).or_default().push(candidate);
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400 * u32::try_from(scale()).unwrap(), ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_the_page_says(all in snapshots(), rules in rules()) {
        let kept = kept(&all, &rules);
        for group in by_group(&all).values() {
            let good: Vec<&Candidate> = group.iter().copied().filter(|c| !c.damaged).collect();
            for one in group {
                let says = |rule: &Rule| {
                    says_the_page(rule, one, group) || (!one.damaged && says_the_page(rule, one, &good))
                };
                let expected = one.pinned || rules.iter().any(says);
                prop_assert_eq!(kept.contains(&one.id), expected, "{:?}", one);
            }
        }
    }

    #[test]
    fn what_several_rules_keep_is_what_each_of_them_keeps(
        all in snapshots(), restores in restores(), rules in rules(),
    ) {
        let all = [all, restores].concat();
        let together = kept(&all, &rules);
        let mut each = kept(&all, &[]);
        for rule in &rules {
            each.extend(kept(&all, std::slice::from_ref(rule)));
        }
        prop_assert_eq!(together, each);
    }

    #[test]
    fn a_larger_number_keeps_no_less(all in snapshots(), rules in rules(), at in any::<prop::sample::Index>()) {
        let before = kept(&all, &rules);
        let mut wider = rules;
        if !wider.is_empty() {
            let at = at.index(wider.len());
            wider[at] = widened(&wider[at]);
        }
        prop_assert!(before.is_subset(&kept(&all, &wider)));
    }

    #[test]
    fn the_newest_of_each_group_is_kept_and_the_newest_that_is_not_damaged(
        all in snapshots(), rules in rules(),
    ) {
        let mut rules = rules;
        if !rules.iter().any(keeps_anything) {
            rules.push(Rule::Last(Count::Of(1)));
        }
        let kept = kept(&all, &rules);
        for group in by_group(&all).values() {
            let newest = |of: &dyn Fn(&&&Candidate) -> bool| {
                group.iter().filter(|c| of(c)).max_by_key(|c| (c.time, &c.id)).map(|c| &c.id)
            };
            prop_assert!(kept.contains(newest(&|_| true).unwrap()));
            if let Some(good) = newest(&|c| !c.damaged) {
                prop_assert!(kept.contains(good));
            }
        }
    }

    #[test]
    fn what_was_kept_is_kept_again(all in snapshots(), restores in restores(), rules in rules()) {
        let all = [all, restores].concat();
        let once = kept(&all, &rules);
        prop_assert_eq!(&kept(&of(&all, &once), &rules), &once);
    }

    /// A clean-up that is cut off has forgotten any part of what it was to forget.
    #[test]
    fn whatever_part_was_forgotten_the_rest_is_judged_as_before(
        all in snapshots(), restores in restores(), rules in rules(), part in any::<u64>(),
    ) {
        let all = [all, restores].concat();
        let once = kept(&all, &rules);
        let rest: Vec<Candidate> = all.iter().enumerate()
            .filter(|(n, c)| once.contains(&c.id) || part >> (n % 64) & 1 == 1)
            .map(|(_, c)| c.clone())
            .filter(|c| !c.of_restore || once.contains(&c.id))
            .collect();
        prop_assert_eq!(kept(&rest, &rules), once);
    }

    #[test]
    fn a_damaged_snapshot_costs_no_good_one_its_place(all in snapshots(), rules in rules()) {
        let good: Vec<Candidate> = all.iter().filter(|c| !c.damaged).cloned().collect();
        prop_assert!(kept(&good, &rules).is_subset(&kept(&all, &rules)));
    }

    #[test]
    fn snapshots_of_restores_do_not_count_and_no_rule_forgets_what_undo_needs(
        all in snapshots(), restores in restores(), rules in rules(),
    ) {
        let together = [all.clone(), restores.clone()].concat();
        let with = kept(&together, &rules);
        let ordinary: BTreeSet<SnapshotId> = all.iter().map(|c| c.id.clone()).collect();
        prop_assert_eq!(&with & &ordinary, kept(&all, &rules));
        let month_ago = NOW - 30 * 86_400 - 3600;
        let done: Vec<(&Candidate, &Deed)> =
            restores.iter().filter_map(|c| Some((c, c.deed.as_ref()?))).collect();
        if let Some((last, _)) = done.last() {
            prop_assert!(with.contains(&last.id), "the last one");
        }
        for (after, deed) in &done {
            let is_kept = with.contains(&after.id);
            let must = after.uncommitted || after.time.as_second() > month_ago + 7200;
            prop_assert!(is_kept || !must, "{:?}", after);
            // By no rule that looks at tags, a pair is kept as a pair.
            prop_assert!(!is_kept || with.contains(&deed.before), "{:?}", after);
            let undone = deed.undoes.as_ref().is_some_and(|undone| with.contains(undone));
            prop_assert!(is_kept || !undone, "an undo is forgotten before what it undid: {:?}", after);
        }
    }

    #[test]
    fn what_the_filter_leaves_out_is_not_judged(all in snapshots(), rules in rules()) {
        let filter = Filter {
            tags: vec!["x".parse().unwrap()],
            sources: vec!["/a.db".to_owned()],
            hosts: vec!["h".to_owned()],
        };
        let policy = Policy::new(rules.clone());
        let groups = judge(&all, &policy, &filter, GroupBy::default(), &moment());
        let judged: BTreeSet<usize> = groups.iter().flat_map(|g| &g.snapshots).map(|s| s.index).collect();
        let through = |c: &Candidate| c.tags.contains(&"x".to_owned()) && c.source == "a.db" && c.host == "h";
        let expected: BTreeSet<usize> = (0..all.len()).filter(|i| through(&all[*i])).collect();
        prop_assert_eq!(judged, expected);
    }
}
