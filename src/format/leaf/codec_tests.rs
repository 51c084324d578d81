//! Codecs of texts: what looks like theirs comes back, what nearly does takes another, and bytes
//! that nobody wrote are errors or texts.

use proptest::prelude::*;

use super::codecs::Codecs;
use super::dictionary;
use super::output::Output;
use super::texts::{
    self, TEXTS_DICTIONARY, TEXTS_HEX, TEXTS_NUMBERS, TEXTS_PLAIN, TEXTS_TIMESTAMPS, Texts,
};
use crate::format::bytes::{Fields, length_u32};

fn texts_of<T: AsRef<[u8]>>(values: &[T]) -> Texts<'static> {
    Texts {
        lengths: values
            .iter()
            .map(|v| length_u32(v.as_ref().len()))
            .collect(),
        bytes: values.iter().flat_map(|v| v.as_ref().to_vec()).collect(),
    }
}

/// Encodes, decodes, compares. Tells the codec.
fn round_trip_with<T: AsRef<[u8]>>(values: &[T], codecs: &Codecs) -> u8 {
    let texts = texts_of(values);
    let mut out = Output::default();
    texts::encode(&texts, codecs, &mut out);
    let mut fields = Fields::new(&out.bytes, "test");
    let decoded = texts::decode(&mut fields, values.len(), texts.bytes.len()).unwrap();
    assert_eq!(
        (decoded.lengths, &decoded.bytes),
        (texts.lengths, &texts.bytes)
    );
    assert_eq!(fields.left(), 0);
    if !texts.bytes.is_empty() {
        let less = texts.bytes.len() - 1;
        let plain = out.bytes[0] == TEXTS_PLAIN;
        // A plain column borrows what is there; the others must not make more than there is room.
        assert!(
            plain
                || texts::decode(&mut Fields::new(&out.bytes, "test"), values.len(), less).is_err()
        );
    }
    out.bytes[0]
}

fn round_trip<T: AsRef<[u8]>>(values: &[T]) -> u8 {
    round_trip_with(values, &Codecs::PLAIN);
    round_trip_with(
        values,
        &Codecs {
            dictionary: false,
            ..Codecs::ALL
        },
    );
    round_trip_with(values, &Codecs::ALL)
}

fn pad(form: &str, parts: &[u64]) -> String {
    let mut parts = parts.iter();
    form.split('#')
        .map(|piece| match piece.parse() {
            Ok(width) => format!("{:0width$}", parts.next().unwrap(), width = width),
            Err(_) => piece.to_owned(),
        })
        .collect()
}

proptest! {
    #[test]
    fn timestamps_of_any_form_come_back(
        times in proptest::collection::vec((1_u64..10_000, 1_u64..13, 1_u64..29, 0_u64..24, 0_u64..60, 0_u64..60, any::<u64>()), 1..40),
        digits in 0_u32..10,
        t in any::<bool>(),
        end in prop_oneof![Just(""), Just("Z"), Just("+00:00")],
        days in any::<bool>(),
    ) {
        let values: Vec<String> = times.iter().map(|(year, month, day, hour, minute, second, fraction)| {
            let date = pad("#4#-#2#-#2#", &[*year, *month, *day]);
            if days {
                return date;
            }
            let between = if t { 'T' } else { ' ' };
            let time = pad("#2#:#2#:#2#", &[*hour, *minute, *second]);
            let fraction = match digits {
                0 => String::new(),
                _ => format!(".{:0width$}", fraction % 10_u64.pow(digits), width = digits as usize),
            };
            format!("{date}{between}{time}{fraction}{end}")
        }).collect();
        let codec = round_trip_with(&values, &Codecs { dictionary: false, ..Codecs::ALL });
        // Nanoseconds of all years are more than 64 bits.
        prop_assert!(codec == TEXTS_TIMESTAMPS || digits > 7);
    }

    #[test]
    fn texts_that_look_like_codecs_come_back(
        values in prop_oneof![
            proptest::collection::vec("[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,3})?Z?", 1..20),
            proptest::collection::vec("-?[0-9]{1,19}(\\.[0-9]{1,3})?", 1..20),
            proptest::collection::vec("(NGC|no-)-?0?[0-9]{1,6}", 1..20),
            proptest::collection::vec("[0-9a-f]{8}-[0-9a-f]{4}", 1..20),
            proptest::collection::vec("[0-9a-fA-F]{6,7}", 1..20),
            proptest::collection::vec("[ab]{0,2}", 1..60),
            proptest::collection::vec("[0-9A-F]{7}", 1..20),
        ],
    ) {
        round_trip(&values);
    }

    #[test]
    fn any_texts_come_back(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..40)) {
        round_trip(&values);
    }

    #[test]
    fn numbers_come_back(numbers in proptest::collection::vec(any::<i64>(), 1..40), shift in 8_u32..60, scale in 0_usize..4, width in 1_usize..8) {
        let values: Vec<String> = numbers.iter().map(|n| {
            let n = n >> shift;
            let sign = if n < 0 { "-" } else { "" };
            let digits = format!("{:0width$}", n.unsigned_abs(), width = width + scale);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
        }).collect();
        let codec = round_trip_with(&values, &Codecs { dictionary: false, ..Codecs::ALL });
        prop_assert_eq!(codec, TEXTS_NUMBERS);
    }

    #[test]
    fn any_bytes_are_texts_or_an_error(
        codec in 0_u8..6,
        bytes in proptest::collection::vec(prop_oneof![0_u8..12, any::<u8>()], 0..80),
        count in 1_usize..20,
    ) {
        let bytes = [vec![codec], bytes].concat();
        if let Ok(texts) = texts::decode(&mut Fields::new(&bytes, "test"), count, 4096) {
            prop_assert_eq!(texts.lengths.len(), count);
        }
    }

    /// A byte changed in what a codec has written.
    #[test]
    fn damaged_texts_are_texts_or_an_error(kind in 0_usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let values: Vec<String> = (0..40_u64).map(|n| match kind {
            0 => pad("2024-01-#2# 00:00:#2#.#3#Z", &[n % 28 + 1, n, n * 7]),
            1 => pad("NGC#4#.#2#", &[n * 40, n]),
            2 => format!("{:08x}-{:04x}", n * 77_777_777, n),
            _ => pad("kind #1#", &[n % 5]),
        }).collect();
        let mut out = Output::default();
        texts::encode(&texts_of(&values), &Codecs::ALL, &mut out);
        let at = at.index(out.bytes.len());
        out.bytes[at] = byte;
        let _ = texts::decode(&mut Fields::new(&out.bytes, "test"), values.len(), 4096);
    }
}

/// The codec of a column of both, without dictionaries: either may be first.
fn codecs_of(good: &str, other: &str) -> [u8; 3] {
    let codecs = Codecs {
        dictionary: false,
        ..Codecs::ALL
    };
    [[good, good], [good, other], [other, good]].map(|values| round_trip_with(&values, &codecs))
}

const TIME: &str = "2024-02-29 23:59:59";
const UUID: &str = "0c5f3c3c-bccb-4900-ad29-4d1dea38cb59";

/// What a codec takes, and what it must leave to others.
const NEAR_MISSES: [(&str, u8, &[&str]); 4] = [
    (
        TIME,
        TEXTS_TIMESTAMPS,
        &[
            "2024-02-30 00:00:00",
            "2023-02-29 00:00:00",
            "1900-02-29 00:00:00",
            "2024-04-31 00:00:00",
            "0000-01-01 00:00:00",
            "2024-00-01 00:00:00",
            "2024-01-00 00:00:00",
            "2024-13-01 00:00:00",
            "2024-01-01 23:59:60",
            "2024-01-01 24:00:00",
            "2024-01-01 00:60:00",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01 00:00:0 ",
            "+024-01-01 00:00:00",
            "2024-01-01",
            "2024-01-01 00:00",
            "",
        ],
    ),
    (
        "12",
        TEXTS_NUMBERS,
        &[
            "+5",
            "-0",
            "",
            "-",
            "1e3",
            "1.5",
            "1.",
            ".5",
            " 1",
            "1 ",
            "0x1",
            "1234567890123456789",
            "--1",
        ],
    ),
    ("007", TEXTS_NUMBERS, &["07", "0007", "-0", "-000", "0"]),
    (
        UUID,
        TEXTS_HEX,
        &[
            "0C5F3C3C-BCCB-4900-AD29-4D1DEA38CB59",
            "0c5f3c3c-bccb-4900-ad29-4d1dea38cb5",
            "0c5f3c3c-bccb-4900-ad29-4d1dea38cb5g",
            "0c5f3c3c-bccb-4900-ad294-d1dea38cb59",
            "0c5f3c3c bccb-4900-ad29-4d1dea38cb59",
            "0c5f3c3c-bccb-4900-ad29-4d1dea38cb5G",
        ],
    ),
];

#[test]
fn near_misses_take_another_codec() {
    for (good, codec, others) in NEAR_MISSES {
        for other in others {
            let [alone, first, second] = codecs_of(good, other);
            assert_eq!(alone, codec, "{good}");
            assert!(
                first != codec && second != codec,
                "{good} beside {other}: {first} {second}"
            );
        }
    }
    // What is as good: another number of digits, a first value without zeros, the ends of time.
    assert_eq!(
        codecs_of("0001-01-01", "9999-12-31")[1..],
        [TEXTS_TIMESTAMPS; 2]
    );
    assert_eq!(
        codecs_of("1970-01-01", "1969-12-31")[1..],
        [TEXTS_TIMESTAMPS; 2]
    );
    assert_eq!(codecs_of("123", "007")[1..], [TEXTS_NUMBERS; 2]);
    assert_eq!(codecs_of("-0.5", "12.0")[1..], [TEXTS_NUMBERS; 2]);
    assert_eq!(
        codecs_of("order-12", "order--12")[1..],
        [TEXTS_NUMBERS, TEXTS_PLAIN]
    );
    // A NUL among the letters is a letter.
    assert_eq!(codecs_of("abc\0def", "abcd\0ef")[1..], [TEXTS_PLAIN; 2]);
}

#[test]
fn few_different_texts_take_a_dictionary() {
    let values: Vec<&str> = ["new", "paid", "new", "shipped"].repeat(100);
    assert_eq!(round_trip(&values), TEXTS_DICTIONARY);
    // Of timestamps as well.
    let days: Vec<String> = (0..400_u64)
        .map(|n| pad("2024-01-#2#", &[n % 28 + 1]))
        .collect();
    assert_eq!(round_trip(&days), TEXTS_DICTIONARY);
    let text = |n: u64| format!("text {n}!");
    assert_eq!(
        round_trip(&(0..400).map(text).collect::<Vec<_>>()),
        TEXTS_PLAIN
    );
    let pairs: Vec<String> = (0..400).map(|n| text(n / 2)).collect();
    assert_eq!(round_trip(&pairs), TEXTS_DICTIONARY);
    assert!(dictionary::find(&texts_of(&["a"])).is_none());
}

#[test]
fn three_texts_cost_hardly_more_than_their_bytes() {
    let size = |values: &[&str]| {
        let mut out = Output::default();
        texts::encode(&texts_of(values), &Codecs::ALL, &mut out);
        out.bytes.len()
    };
    assert!(size(&["bun", "roll", "rye"]) <= 10 + 4);
    assert!(
        size(&[
            "2024-01-01 00:00:00",
            "2024-01-01 00:10:00",
            "2024-01-01 00:11:00"
        ]) <= 12
    );
    assert!(size(&["paid"]) <= 4 + 3);
}
