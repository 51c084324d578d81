//! How like a text the texts of a row are, and the few rows that are most like it: for somebody who
//! looks for the row that a missing reference could mean. Pure; memory is bounded by what is asked for.

use std::cmp::Ordering;

use crate::model::row::{Collation, compare_values};
use crate::model::text::TextEncoding;
use crate::model::value::Value;

use crate::ops::restore::missing::Candidate;

/// The score of a row that has every word as it was asked for.
pub const SCORE_MAX: u32 = 1000;

/// A word begins with what was asked for.
const BEGINS: u32 = 900;
/// A word holds it.
const HOLDS: u32 = 750;
/// The best that a word which only resembles it can get.
const RESEMBLES: f64 = 700.0;
/// Resemblance below this is chance.
const RESEMBLES_MIN: f64 = 0.55;

/// Words that are looked at, of what is asked for and of a row; longer words are cut.
const ASKED_WORDS_MAX: usize = 8;
const ROW_WORDS_MAX: usize = 64;
const WORD_CHARS_MAX: usize = 64;

/// How like `text` the texts of a row are: 0 for not at all, [`SCORE_MAX`] if every word of it is
/// there. Case does not count. Every row is as like an empty text as any other.
pub fn score(text: &str, row: &[&str]) -> u32 {
    let asked: Vec<String> = words(text).take(ASKED_WORDS_MAX).collect();
    if asked.is_empty() {
        return SCORE_MAX;
    }
    let there: Vec<String> = row
        .iter()
        .flat_map(|text| words(text))
        .take(ROW_WORDS_MAX)
        .collect();
    let best = |asked: &String| there.iter().map(|word| likeness(asked, word)).max();
    let sum: u32 = asked.iter().filter_map(best).sum();
    sum / u32::try_from(asked.len()).unwrap_or(u32::MAX)
}

/// Words in lower case: runs of letters and digits.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_CHARS_MAX).collect::<String>())
        .map(|word| word.to_lowercase())
}

fn likeness(asked: &str, word: &str) -> u32 {
    if word == asked {
        return SCORE_MAX;
    }
    if word.starts_with(asked) {
        return BEGINS;
    }
    if word.contains(asked) {
        return HOLDS;
    }
    // Numbers resemble each other by chance only.
    if asked.chars().all(|c| c.is_ascii_digit()) {
        return 0;
    }
    let alike = strsim::normalized_damerau_levenshtein(asked, word);
    if alike < RESEMBLES_MIN {
        return 0;
    }
    rounded(alike * RESEMBLES)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 700"
)]
fn rounded(points: f64) -> u32 {
    points.round().clamp(0.0, RESEMBLES) as u32
}

/// The rows with the highest scores, those first; of equal ones the one with the lower key.
#[derive(Debug)]
pub struct Best {
    max: usize,
    rows: Vec<(u32, Candidate)>,
}

impl Best {
    /// Keeps up to `max` rows.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            rows: Vec::new(),
        }
    }

    /// True if a row of this score and key would be kept: saves making a candidate of any other.
    pub fn wants(&self, score: u32, key: &[Value]) -> bool {
        score > 0 && self.place(score, key) < self.max
    }

    /// Takes a row, and lets the least like one go if there are too many. One of score 0 is never kept.
    pub fn push(&mut self, score: u32, candidate: Candidate) {
        if score == 0 {
            return;
        }
        let place = self.place(score, &candidate.key);
        if place < self.max {
            self.rows.insert(place, (score, candidate));
            self.rows.truncate(self.max);
        }
    }

    /// The rows, best first.
    pub fn into_rows(self) -> Vec<Candidate> {
        self.rows.into_iter().map(|(_, row)| row).collect()
    }

    fn place(&self, score: u32, key: &[Value]) -> usize {
        self.rows.partition_point(|(other, row)| {
            *other > score || (*other == score && by_key(&row.key, key).is_le())
        })
    }
}

/// The order of SQLite, texts by their bytes.
fn by_key(a: &[Value], b: &[Value]) -> Ordering {
    let order = |(a, b): (&Value, &Value)| {
        let (a, b) = (a.as_ref(), b.as_ref());
        compare_values(a, b, &Collation::Binary, TextEncoding::Utf8).unwrap_or(Ordering::Equal)
    };
    let mut orders = a.iter().zip(b).map(order);
    orders
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: i64, name: &str) -> Candidate {
        Candidate {
            key: vec![Value::Integer(id)],
            row: vec![("name".to_owned(), Value::Text(name.into()))],
        }
    }

    fn best(text: &str, max: usize, rows: &[(i64, &str)]) -> Vec<i64> {
        let mut best = Best::new(max);
        for (id, name) in rows {
            best.push(score(text, &[name]), named(*id, name));
        }
        let id = |row: Candidate| match row.key[0] {
            Value::Integer(id) => id,
            _ => unreachable!(),
        };
        best.into_rows().into_iter().map(id).collect()
    }

    #[test]
    fn the_same_word_comes_before_its_beginning_and_that_before_what_resembles_it() {
        let rows = [
            (1, "Max Kleim"),
            (2, "Ada Kleinert"),
            (3, "Kleinklein"),
            (4, "Mia Klein"),
            (5, "Otto Groß"),
            (6, "von Oberklein"),
        ];
        assert_eq!(best("klein", 5, &rows), [4, 2, 3, 6, 1]);
    }

    #[test]
    fn case_signs_and_the_order_of_words_do_not_count() {
        for text in ["ada klein", "KLEIN, Ada", "klein-ada"] {
            assert_eq!(score(text, &["Ada", "Klein-Berg"]), SCORE_MAX, "{text}");
        }
        assert_eq!(score("GRÖSSE", &["größe"]), score("GRÖSSE", &["GRÖßE"]));
        assert!(score("ada gross", &["Ada Klein"]) < SCORE_MAX);
    }

    #[test]
    fn what_is_not_like_it_is_not_shown() {
        assert_eq!(score("klein", &["Otto", "groß@example.org"]), 0);
        assert_eq!(score("12", &["13", "21"]), 0);
        assert!(best("klein", 5, &[(1, "Otto"), (2, "")]).is_empty());
    }

    #[test]
    fn every_row_is_like_an_empty_text_and_the_lowest_keys_are_kept() {
        let rows = [(9, "a"), (2, ""), (5, "c"), (1, "d")];
        assert_eq!(best("", 3, &rows), [1, 2, 5]);
        assert_eq!(best(" - ", 1, &rows), [1]);
    }

    /// Whatever the order they come in.
    #[test]
    fn equal_rows_are_ordered_by_their_key() {
        let mut rows = vec![(1, "klein"), (2, "klein"), (3, "kleiner"), (4, "klein")];
        for _ in 0..rows.len() {
            rows.rotate_left(1);
            assert_eq!(best("klein", 3, &rows), [1, 2, 4], "{rows:?}");
        }
        let mut keys = Best::new(9);
        let values = [
            Value::Blob(vec![0]),
            Value::Text(b"b".to_vec()),
            Value::Text(b"a".to_vec()),
            Value::Real(1.5),
            Value::Integer(2),
            Value::Null,
        ];
        for value in values {
            let key = vec![value];
            keys.push(1, Candidate { key, row: vec![] });
        }
        let keys = keys.into_rows().into_iter().map(|row| row.key);
        let expected = [
            Value::Null,
            Value::Real(1.5),
            Value::Integer(2),
            Value::Text(b"a".to_vec()),
            Value::Text(b"b".to_vec()),
            Value::Blob(vec![0]),
        ];
        assert!(keys.eq(expected.map(|value| vec![value])));
    }

    #[test]
    fn no_more_rows_than_asked_for_are_held() {
        let mut best = Best::new(2);
        for id in 0..1000 {
            let wanted = best.wants(500, &[Value::Integer(id)]);
            assert_eq!(wanted, id < 2);
            best.push(500, named(id, "x"));
            assert!(best.rows.len() <= 2);
        }
        assert!(best.wants(501, &[Value::Integer(1000)]));
        assert!(!Best::new(0).wants(501, &[Value::Null]));
    }
}
