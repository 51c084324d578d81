//! Long strings of a document: set aside in a temporary file, so that no value has to fit in memory.
//!
//! [`Document`] stands between a file and the JSON parser. It lets everything through but strings
//! that are long: these go to an [`Aside`] as they are written, escapes and all, and the parser sees
//! a short string in their place, which begins with a mark that nobody can know beforehand.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;

use super::unescape::{Recoded, Unescaped};
use crate::model::id::BlobId;
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Spilled, Value};
use crate::target::SpilledContent;

/// Longer strings, as they are written, are set aside; one that ends within a block more is not.
const SHORT_BYTES_MAX: usize = 16 << 10;
/// A value of SQLite's largest has no more, with every byte of it escaped or as base64.
const LONG_BYTES_MAX: u64 = 6 << 30;
/// JSON in JSON is kept as it is written, in memory.
const NESTED_BYTES_MAX: u64 = 128 << 20;
const BLOCK_BYTES: usize = 16 << 10;

/// The temporary file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("a long value cannot be kept in the folder for temporary files: {0}")]
pub(super) struct AsideError(#[source] io::Error);

/// Strings that were set aside since the last [`Aside::clear`].
#[derive(Debug)]
pub(super) struct Aside {
    file: OnceCell<File>,
    bytes: Cell<u64>,
    mark: String,
    encoding: TextEncoding,
}

/// How the bytes of a value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Plain,
    Base64,
}

/// Where a string lies in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: u64,
    bytes: u64,
}

impl Aside {
    /// `mark`: hex digits that the document's author cannot have known. `encoding`: of the texts
    /// that strings become.
    pub fn new(mark: String, encoding: TextEncoding) -> Self {
        Self {
            file: OnceCell::new(),
            bytes: Cell::new(0),
            mark,
            encoding,
        }
    }

    /// Of the texts that strings become.
    pub fn encoding(&self) -> TextEncoding {
        self.encoding
    }

    /// Forgets all of them: their room is used again.
    pub fn clear(&self) {
        self.bytes.set(0);
    }

    /// True for a string that stands for one set aside, without its quotes.
    pub fn is_mark(&self, string: &str) -> bool {
        string.starts_with(&self.mark)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let failed = |error| io::Error::other(AsideError(error));
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let made = tempfile::tempfile().map_err(failed)?;
                self.file.get_or_init(|| made)
            }
        };
        let at = self.bytes.get();
        file.write_all_at(bytes, at).map_err(failed)?;
        self.bytes.set(at + bytes.len() as u64);
        Ok(())
    }

    fn mark_of(&self, place: Place) -> String {
        format!("\"{}:{}:{}\"", self.mark, place.from, place.bytes)
    }

    fn place_of(&self, string: &str) -> Option<Place> {
        let rest = string.strip_prefix(&self.mark)?.strip_prefix(':')?;
        let (from, bytes) = rest.split_once(':')?;
        Some(Place {
            from: from.parse().ok()?,
            bytes: bytes.parse().ok()?,
        })
    }

    fn raw(&self, place: Place) -> Raw<'_> {
        Raw {
            file: self.file.get(),
            place,
        }
    }

    fn reader(&self, place: Place, written: Written) -> Box<dyn Read + '_> {
        let unescaped = Unescaped::new(self.raw(place));
        match written {
            Written::Plain => Box::new(Recoded::new(unescaped, self.encoding)),
            Written::Base64 => Box::new(DecoderReader::new(unescaped, &STANDARD)),
        }
    }

    /// The value of a string that was set aside; `None` if this is any other string. Reads it once,
    /// for its length: what is wrong with it shows here.
    pub fn value(
        &self,
        string: &str,
        class: LongClass,
        written: Written,
    ) -> Option<Result<Value, String>> {
        let place = self.place_of(string)?;
        let bytes = io::copy(&mut self.reader(place, written), &mut io::sink());
        Some(match bytes {
            Ok(bytes) => {
                let mut root = [0; 32];
                root[..8].copy_from_slice(&place.from.to_le_bytes());
                root[8..16].copy_from_slice(&place.bytes.to_le_bytes());
                root[16] = u8::from(written == Written::Base64);
                Ok(Value::Spilled(Spilled {
                    class,
                    bytes,
                    level: 0,
                    root: BlobId(root),
                }))
            }
            Err(error) => Err(error.to_string()),
        })
    }

    /// JSON with the strings in it that were set aside.
    pub fn whole(&self, json: &str) -> Result<String, String> {
        let mut whole = String::new();
        let mut rest = json;
        while let Some(at) = rest.find(&self.mark) {
            let (before, marked) = rest.split_at(at);
            whole.push_str(before);
            let (string, after) = marked.split_once('"').unwrap_or((marked, ""));
            let place = self
                .place_of(string)
                .ok_or("a string that is not known (a bug)")?;
            if place.bytes.saturating_add(whole.len() as u64) > NESTED_BYTES_MAX {
                return Err(format!("nested JSON of more than {NESTED_BYTES_MAX} bytes"));
            }
            let read = self.raw(place).read_to_string(&mut whole);
            read.map_err(|error| error.to_string())?;
            whole.push('"');
            rest = after;
        }
        whole.push_str(rest);
        Ok(whole)
    }
}

impl SpilledContent for &Aside {
    fn open<'a>(&'a mut self, spilled: &Spilled) -> io::Result<Box<dyn Read + 'a>> {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&spilled.root.0[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let place = Place {
            from: number(0),
            bytes: number(8),
        };
        let written = match spilled.root.0[16] {
            0 => Written::Plain,
            _ => Written::Base64,
        };
        Ok(self.reader(place, written))
    }
}

/// The bytes of a string as they are written.
struct Raw<'a> {
    file: Option<&'a File>,
    place: Place,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = self.file else { return Ok(0) };
        let wanted =
            usize::try_from(self.place.bytes).map_or(buffer.len(), |b| b.min(buffer.len()));
        let count = file.read_at(&mut buffer[..wanted], self.place.from)?;
        self.place.from += count as u64;
        self.place.bytes -= count as u64;
        Ok(count)
    }
}

/// A document without its long strings.
pub(super) struct Document<R> {
    inner: R,
    aside: Rc<Aside>,
    input: Vec<u8>,
    at: usize,
    out: Vec<u8>,
    given: usize,
    state: State,
    /// The string that is being read, from its quote on, while it is short.
    held: Vec<u8>,
    /// Where it lies, once it is long.
    long: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

impl<R: Read> Document<R> {
    pub fn new(inner: R, aside: Rc<Aside>) -> Self {
        Self {
            inner,
            aside,
            input: Vec::new(),
            at: 0,
            out: Vec::new(),
            given: 0,
            state: State::Outside,
            held: Vec::new(),
            long: None,
        }
    }

    /// Fills `out`; it stays empty at the end.
    ///
    /// What stands before a long string is given first, and the mark of one at once: so whoever
    /// reads has taken all that came before when the next string is set aside, and may have
    /// cleared what it does not need any more.
    fn fill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.given = 0;
        while self.out.len() < BLOCK_BYTES {
            if self.held.len() > SHORT_BYTES_MAX {
                if !self.out.is_empty() {
                    return Ok(());
                }
                self.begin_long()?;
            }
            if self.at == self.input.len() && !self.more()? {
                // An unfinished string: the parser says so.
                self.out.append(&mut self.held);
                return Ok(());
            }
            if self.step()? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<bool> {
        self.input.resize(BLOCK_BYTES, 0);
        self.at = 0;
        let count = self.inner.read(&mut self.input);
        self.input.truncate(*count.as_ref().unwrap_or(&0));
        Ok(count? > 0)
    }

    fn begin_long(&mut self) -> io::Result<()> {
        self.long = Some(Place {
            from: self.aside.bytes.get(),
            bytes: 0,
        });
        let held = std::mem::take(&mut self.held);
        self.push(held.get(1..).unwrap_or_default())
    }

    /// Adds to the string that is being read.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(place) = &mut self.long else {
            self.held.extend_from_slice(bytes);
            return Ok(());
        };
        place.bytes += bytes.len() as u64;
        if place.bytes > LONG_BYTES_MAX {
            let text = format!("a string of more than {LONG_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.aside.append(bytes)
    }

    /// Goes on to the next byte that means something. True after a long string.
    fn step(&mut self) -> io::Result<bool> {
        let input = std::mem::take(&mut self.input);
        let rest = &input[self.at..];
        let is_end = |byte: &u8| match self.state {
            State::Outside => *byte == b'"',
            State::Inside => matches!(byte, b'"' | b'\\'),
            State::Escaped => true,
        };
        let found = rest.iter().position(is_end);
        let (run, byte) = match found {
            Some(at) => (&rest[..at], Some(rest[at])),
            None => (rest, None),
        };
        self.at += run.len() + usize::from(byte.is_some());
        let ended = self.take(run, byte);
        self.input = input;
        ended
    }

    fn take(&mut self, run: &[u8], byte: Option<u8>) -> io::Result<bool> {
        match (self.state, byte) {
            (State::Outside, byte) => {
                self.out.extend_from_slice(run);
                if byte.is_some() {
                    self.held.push(b'"');
                    self.state = State::Inside;
                }
            }
            (State::Inside | State::Escaped, None) => self.push(run)?,
            (State::Inside, Some(b'"')) => {
                self.push(run)?;
                self.state = State::Outside;
                if let Some(place) = self.long.take() {
                    self.out
                        .extend_from_slice(self.aside.mark_of(place).as_bytes());
                    return Ok(true);
                }
                self.held.push(b'"');
                self.out.append(&mut self.held);
            }
            (State::Inside, Some(backslash)) => {
                self.push(run)?;
                self.push(&[backslash])?;
                self.state = State::Escaped;
            }
            (State::Escaped, Some(escaped)) => {
                self.push(&[escaped])?;
                self.state = State::Inside;
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Document<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.out.len() {
            self.fill()?;
        }
        let rest = &self.out[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte, then three, then five …: cut anywhere.
    struct Cut<'a>(&'a [u8], usize);

    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 2;
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn aside(encoding: TextEncoding) -> Rc<Aside> {
        Rc::new(Aside::new("m4rk".to_owned(), encoding))
    }

    fn through(json: &str, aside: &Rc<Aside>) -> String {
        let mut out = String::new();
        let mut document = Document::new(Cut(json.as_bytes(), 0), aside.clone());
        document.read_to_string(&mut out).unwrap();
        out
    }

    fn content(aside: &Aside, value: &Value) -> Vec<u8> {
        let Value::Spilled(spilled) = value else {
            panic!("{value:?}")
        };
        let (mut out, mut aside) = (Vec::new(), aside);
        aside.open(spilled).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out.len() as u64, spilled.bytes);
        out
    }

    #[test]
    fn short_strings_stay_and_long_ones_are_set_aside() {
        let piece = r#"long Ä\n\"\\\u00e4\ud83e\udd80"#;
        let long = piece.repeat(5_000);
        let text = "long Ä\n\"\\ä🦀".repeat(5_000);
        let json = format!(r#"{{"a": "x\"y\\", "b": "{long}", "c": ["{long}", 1], "d": ""}}"#);
        for encoding in [
            TextEncoding::Utf8,
            TextEncoding::Utf16le,
            TextEncoding::Utf16be,
        ] {
            let aside = aside(encoding);
            let out = through(&json, &aside);
            let first = format!("m4rk:0:{}", long.len());
            let second = format!("m4rk:{}:{}", long.len(), long.len());
            let expected =
                format!(r#"{{"a": "x\"y\\", "b": "{first}", "c": ["{second}", 1], "d": ""}}"#);
            assert_eq!(out, expected);
            for mark in [&first, &second] {
                let value = aside.value(mark, LongClass::Text, Written::Plain).unwrap();
                assert_eq!(
                    content(&aside, &value.unwrap()),
                    encoding.encode(text.clone())
                );
            }
            assert_eq!(aside.whole(&out).unwrap(), json);
            assert!(aside.value("x", LongClass::Text, Written::Plain).is_none());
        }
    }

    #[test]
    fn long_base64_is_decoded_and_what_is_wrong_is_found() {
        let aside = aside(TextEncoding::Utf8);
        let good = "AP8A".repeat(30_000);
        let (bad, lone) = ("AP8?".repeat(30_000), format!(r"{good}\ud83e"));
        let json = format!("\"{good}\" \"{bad}\" \"{lone}\" \"{good}\u{1}\" \"{good}\\x\"");
        let out = through(&json, &aside);
        let marks: Vec<&str> = out.split(' ').map(|mark| mark.trim_matches('"')).collect();
        let value = |mark, written| aside.value(mark, LongClass::Blob, written).unwrap();
        let blob = content(&aside, &value(marks[0], Written::Base64).unwrap());
        assert_eq!(blob, [0, 255, 0].repeat(30_000));
        assert!(value(marks[1], Written::Base64).is_err());
        for mark in &marks[2..] {
            assert!(value(mark, Written::Plain).is_err());
        }
    }

    /// The file holds what one record needs, however long the document.
    #[test]
    fn what_was_taken_makes_room_again() {
        let aside = aside(TextEncoding::Utf8);
        let json = format!(
            "[{}]",
            vec![format!("\"{}\"", "x".repeat(100_000)); 20].join(", ")
        );
        let mut document = Document::new(json.as_bytes(), aside.clone());
        let mut buffer = [0; 1000];
        let mut seen = 0;
        loop {
            let count = document.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            if buffer[..count].starts_with(b"\"m4rk:0:100000\"") {
                seen += 1;
                aside.clear();
            }
        }
        assert_eq!(seen, 20);
    }
}
