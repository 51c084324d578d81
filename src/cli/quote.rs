//! Words for a shell: what is printed here can be pasted as it stands.

use std::ffi::OsStr;
use std::fmt::Write as _;

use crate::cli::render::escape;

/// Characters that no shell gives a meaning, wherever they stand in a word.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "_-./:,+@%".contains(c)
}

/// One word, quoted only if it must be.
///
/// Bytes that are no text, control characters and what would turn the line around are written as
/// `$'\x1b'`, which bash, zsh and ksh read.
pub fn word(word: &OsStr) -> String {
    match word.to_str() {
        Some("") => "''".to_owned(),
        Some(text) if text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.chars().any(escape::is_hidden) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => hidden(word.as_encoded_bytes()),
    }
}

fn hidden(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => {
                // Three octal digits end by themselves; hex digits would take the next letter along.
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    out.push('\'');
    out
}

/// Several words, as one line.
pub fn line<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> String {
    let words: Vec<String> = words.into_iter().map(word).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_every_quoted_word_as_it_was() {
        let words: &[&[u8]] = &[
            b"plain-1.db",
            b"",
            b"two words",
            b"it's",
            b"$HOME `id` \"x\" \\ !! ~ * ? # & | ; < > ( )",
            "größe/日本".as_bytes(),
            b"line\nbreak\x1b[31m1",
            b"not\xffutf8",
            "turned\u{202e}around".as_bytes(),
        ];
        for bytes in words {
            let quoted = word(OsStr::from_bytes(bytes));
            let out = Command::new("bash")
                .args(["-c", &format!("printf %s {quoted}")])
                .output()
                .unwrap();
            assert_eq!(out.stdout, *bytes, "{quoted}");
        }
    }
}
