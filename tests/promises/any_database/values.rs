//! Values at the edges of every storage class, as SQL.

use super::draw::Maker;

const INTEGERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "127",
    "-129",
    "32768",
    "8388608",
    "-2147483649",
    "140737488355328",
    "9007199254740991",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775807",
];

const REALS: [&str; 18] = [
    "0.0",
    "-0.0",
    "1.0",
    "-2.5",
    "0.1",
    "1e15",
    "9e999",
    "-9e999",
    "5e-324",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "9007199254740992.0",
    "9007199254740993.0",
    "9.223372036854775807e18",
    "-9.223372036854775808e18",
    "1e300",
    "0.30000000000000004",
    "1234567890.125",
];

const TEXTS: [&str; 34] = [
    "",
    "a",
    "A",
    "a ",
    "a  ",
    " a",
    "abc",
    "ABC",
    "aBc",
    "1",
    "01",
    "1.0",
    "1e3",
    "0x10",
    "-0",
    " 12 ",
    "9223372036854775807",
    "9223372036854775808",
    "1e999",
    "NULL",
    "inf",
    "nan",
    "é",
    "e\u{301}",
    "🧀",
    "line\r\nbreak",
    "2024-01-01 00:00:00",
    "2024-02-30",
    "{\"a\":[1,2]}",
    "00000000-0000-4000-8000-000000000000",
    "deadbeefdeadbeefdeadbeefdeadbeef",
    "\u{feff}bom",
    "0.1",
    "x'00'",
];

/// Bytes that are no text, or hold a NUL.
const RAW_TEXTS: [&str; 12] = [
    "ff", "00", "610062", "6100", "c3", "eda080", "f4908080", "c080", "3dd8", "d83d00dc", "41",
    "fffe6100",
];

/// Lengths at which a value is stored in another way, in larder or in a page.
const LENGTHS: [usize; 12] = [
    480, 2000, 4061, 8191, 8192, 8193, 16_383, 16_384, 16_385, 20_000, 40_000, 70_000,
];

impl Maker {
    /// Any value.
    pub fn value(&mut self) -> String {
        match self.below(400) {
            0 if !self.once_in(3) => return self.large(1_048_575, 3),
            1..=6 => {
                let length = self.pick(&LENGTHS);
                return self.large(length, 2);
            }
            _ => {}
        }
        match self.below(12) {
            0 => "NULL".to_owned(),
            1 | 2 => self.pick(&INTEGERS).to_owned(),
            3 => (self.next().cast_signed() >> self.below(64)).to_string(),
            4 | 5 => self.pick(&REALS).to_owned(),
            6 => self.any_real(),
            7 | 8 => text(self.pick(&TEXTS)),
            9 => format!("CAST(x'{}' AS TEXT)", self.pick(&RAW_TEXTS)),
            10 => {
                let length = self.below(30);
                let bytes = self.hex(length);
                let kind = self.pick(&["x''", "x'00'", "x'ff'", "CAST(? AS TEXT)", "?"]);
                kind.replace('?', &format!("x'{bytes}'"))
            }
            _ => self.words(),
        }
    }

    /// A value that a column of a STRICT table takes.
    pub fn value_for(&mut self, declared: &str) -> String {
        match declared {
            "INTEGER" | "INT" => self.pick(&INTEGERS).to_owned(),
            "REAL" if self.once_in(2) => self.any_real(),
            "REAL" => self.pick(&REALS).to_owned(),
            "TEXT" if self.once_in(2) => self.words(),
            "TEXT" => format!("CAST({} AS TEXT)", self.value()),
            "BLOB" => format!("CAST({} AS BLOB)", self.value()),
            _ => self.value(),
        }
    }

    fn any_real(&mut self) -> String {
        let real = f64::from_bits(self.next());
        if real.is_finite() {
            format!("{real:e}")
        } else {
            "-1e-7".to_owned()
        }
    }

    fn words(&mut self) -> String {
        let words = ["bread", "Käse", "milk ", "rye", "oven", "42", "salt", "\n"];
        let count = self.below(12);
        let drawn: Vec<&str> = (0..count).map(|_| self.pick(&words)).collect();
        text(&drawn.join(" "))
    }

    /// A text or blob of about so many bytes, one more or less within `around`.
    fn large(&mut self, bytes: usize, around: usize) -> String {
        let bytes = bytes + self.below(2 * around + 1) - around;
        let word = self.pick(&["z", "crumb ", "01", "ä"]);
        let salt = self.below(1000);
        match self.below(4) {
            0 => format!("zeroblob({bytes})"),
            1 => format!(
                "substr(replace(hex(zeroblob({})), '0', '{word}{salt}'), 1, {bytes})",
                bytes / 4
            ),
            2 => format!(
                "CAST(substr(replace(hex(zeroblob({})), '0', '{salt}{word}'), 1, {bytes}) AS BLOB)",
                bytes / 4
            ),
            // Hardly compressible.
            _ => format!(
                "(WITH n(i) AS (SELECT {salt} UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT \
                 substr(group_concat(printf('%05x', i * 2654435761 % 1000003), ''), 1, {bytes}) FROM n)",
                bytes / 5 + 1
            ),
        }
    }

    /// An expression over `i`, for rows by the thousand.
    pub fn series(&mut self, declared: &str) -> String {
        let any = [
            "i",
            "-i * 7919 % 10007",
            "i * 1.25",
            "printf('row %06d', i * 7919 % 100003)",
            "printf('%x', i * 2654435761 % 4294967291)",
            "CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i / 2.0 WHEN 3 THEN 'text ' || i ELSE x'00ff' END",
            "zeroblob(i % 40)",
            "CAST(x'61ff00' || i AS TEXT)",
            "printf('%.*c', i % 300, 'x')",
            "hex(printf('%d %x %d', i * 7919, i * 2654435761, i * 40503 % 65521))",
            "upper(hex(i * 40503 % 65521))",
            "date(1700000000 + i * 60, 'unixepoch')",
            "NULL",
        ];
        let drawn = self.pick(&any).to_owned();
        match declared {
            "INTEGER" | "INT" | "REAL" => "i * 7919 % 1000003".to_owned(),
            "TEXT" | "BLOB" => format!("CAST({drawn} AS {declared})"),
            _ => drawn,
        }
    }
}

/// A text in single quotes.
pub fn text(content: &str) -> String {
    format!("'{}'", content.replace('\'', "''"))
}
