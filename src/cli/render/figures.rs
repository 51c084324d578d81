//! Numbers, sizes and times for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `3,738`
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `3,738 records`; a noun in `-y` becomes `-ies`.
pub fn counted(n: u64, noun: &str) -> String {
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", count(n)),
        (_, None) => format!("{} {noun}s", count(n)),
    }
}

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
    fn numbers_have_thousands() {
        let shown: Vec<String> = [0, 999, 1000, 3738, 1_234_567].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "3,738", "1,234,567"]);
        assert_eq!(counted(1, "entity"), "1 entity");
        assert_eq!(counted(2, "entity"), "2 entities");
        assert_eq!(counted(0, "record"), "0 records");
    }

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
