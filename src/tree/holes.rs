//! Rows of a tree that are passed over, by their ordinals: what is known to be lost.

/// Ranges of ordinals, in order, none of which touch. Memory: 16 bytes a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes {
    /// First ordinal, and the first one behind.
    ranges: Vec<(u64, u64)>,
}

impl Holes {
    /// Holes of so many rows each, by the ordinal of their first one; in any order, overlapping or not.
    pub fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let end = |(first, rows): (u64, u64)| (first, first.saturating_add(rows));
        let mut all: Vec<(u64, u64)> = ranges.into_iter().map(end).collect();
        all.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (first, end) in all.into_iter().filter(|(first, end)| first < end) {
            match ranges.last_mut() {
                Some(last) if first <= last.1 => last.1 = last.1.max(end),
                _ => ranges.push((first, end)),
            }
        }
        Self { ranges }
    }

    /// True if all of these rows are passed over; false of no rows.
    pub fn cover(&self, first: u64, rows: u64) -> bool {
        let before = self.ranges.partition_point(|range| range.0 <= first);
        let range = before.checked_sub(1).and_then(|at| self.ranges.get(at));
        rows > 0
            && range.is_some_and(|(_, end)| {
                first < *end && first.checked_add(rows).is_some_and(|last| last <= *end)
            })
    }

    /// Rows that are passed over.
    pub fn rows(&self) -> u64 {
        let rows = self.ranges.iter().map(|(first, end)| end - first);
        rows.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::Holes;

    #[test]
    fn ranges_that_touch_are_one_and_no_row_counts_twice() {
        let holes = Holes::of([(7, 3), (0, 2), (2, 1), (8, 1), (20, 0)]);
        assert_eq!(holes.ranges, [(0, 3), (7, 10)]);
        assert_eq!(holes.rows(), 6);
        let covered = |first, rows| holes.cover(first, rows);
        assert!(covered(0, 3) && covered(2, 1) && covered(8, 2));
        assert!(!covered(0, 4) && !covered(3, 1) && !covered(6, 2) && !covered(10, 1));
        assert!(!covered(0, 0) && !covered(9, u64::MAX));
        assert!(!Holes::default().cover(0, 1));
    }
}
