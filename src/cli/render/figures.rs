//! Numbers, sizes and times for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use crate::model::counted::agree;
pub use crate::model::counted::count;
pub use crate::model::counted::counted;

/// `812 B`, `9.8 KiB`, `2.6 MiB`: binary units, one decimal.
pub fn bytes(n: u64) -> String {
    if n < 1024 {
        return format!("{n} B");
    }
    let mut unit: u128 = 1024;
    for name in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        let tenths = (u128::from(n) * 10 + unit / 2) / unit;
        // 1,023.96 KiB is 1.0 MiB, not 1,024.0 KiB.
        if tenths < 10_240 || name == "EiB" {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        unit *= 1024;
    }
    format!("{n} B")
}

/// `a / b` in thousandths, rounded; `None` where `b` is 0.
pub fn thousandths(a: u64, b: u64) -> Option<u64> {
    let (a, b) = (u128::from(a), u128::from(b));
    let rounded = (a * 1000 + b / 2).checked_div(b)?;
    Some(u64::try_from(rounded).unwrap_or(u64::MAX))
}

/// `a / b` with two decimals, `2.95`; `–` where `b` is 0.
pub fn ratio(a: u64, b: u64) -> String {
    thousandths(a, b).map_or("–".to_owned(), |n| {
        let hundredths = n.saturating_add(5) / 10;
        format!("{}.{:02}", count(hundredths / 100), hundredths % 100)
    })
}

/// `a / b` with one decimal, `2.9`; `–` where `b` is 0.
pub fn average(a: u64, b: u64) -> String {
    thousandths(a, b).map_or("–".to_owned(), |n| {
        let tenths = n.saturating_add(50) / 100;
        format!("{}.{}", count(tenths / 10), tenths % 10)
    })
}

/// `94.3 %` of `whole`; `–` for nothing.
pub fn percent(part: u64, whole: u64) -> String {
    match thousandths(part, whole) {
        Some(n) if part > 0 => format!("{}.{} %", n / 10, n % 10),
        _ => "–".to_owned(),
    }
}

/// `0.1 s`
pub fn seconds(ms: u64) -> String {
    let tenths = ms.saturating_add(50) / 100;
    format!("{}.{} s", count(tenths / 10), tenths % 10)
}

/// `2026-11-23 21:15:30 +01:00`, from RFC 3339; a time that is none is shown as it is.
pub fn local_time(rfc3339: &str, zone: &TimeZone) -> String {
    match rfc3339.parse::<Timestamp>() {
        Ok(time) => time
            .to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S %:z")
            .to_string(),
        Err(_) => super::escape::shown(rfc3339).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_the_right_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10_035, "9.8 KiB"),
            (1_048_575, "1.0 MiB"),
            (2_726_298, "2.6 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (n, text) in cases {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn parts_of_a_whole_are_rounded_and_nothing_is_a_dash() {
        assert_eq!(ratio(2, 3), "0.67");
        assert_eq!(ratio(1, 0), "–");

        assert_eq!(average(7, 2), "3.5");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 3), "–");
        assert_eq!(percent(1, 1), "100.0 %");
    }

    #[test]
    fn times_are_local_with_their_offset() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(
            local_time("2026-11-23T20:15:30Z", &zone),
            "2026-11-23 21:15:30 +01:00"
        );
        assert_eq!(
            local_time("2026-07-01T20:15:30.123Z", &zone),
            "2026-07-01 22:15:30 +02:00"
        );
        assert_eq!(local_time("never", &zone), "never");
        assert_eq!(seconds(149), "0.1 s");
        assert_eq!(seconds(61_250), "61.3 s");
    }
}
