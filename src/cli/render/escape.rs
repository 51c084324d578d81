//! Names from databases and stores, made safe to show: nothing in them moves the cursor, breaks a
//! line or turns text around.

use std::borrow::Cow;
use std::path::Path;

/// True for a character that would not be seen as itself: control characters, line breaks, and the
/// marks that change the direction of text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with hidden characters as `\n`, `\u{202e}` and so on.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A path as [`shown`]; bytes that are no text become U+FFFD.
pub fn path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_shown_and_others_left_alone() {
        assert_eq!(shown("größe 日本 orders"), "größe 日本 orders");
        assert_eq!(shown("a\nb\tc\x1b[2J"), r"a\nb\tc\u{1b}[2J");
        assert_eq!(shown("x\u{202e}txt.exe"), r"x\u{202e}txt.exe");
    }
}
