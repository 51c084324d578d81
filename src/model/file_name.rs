//! The name of an entity's file in an export, safe on every file system.
//!
//! A name depends on nothing but the entity's own, so exports of different snapshots, and of a
//! part of a snapshot, agree. ASCII letters, digits and harmless signs stay (`Album.json`,
//! `Order Details.json`); everything else becomes `%XX`, one for each byte of UTF-8: what any
//! system forbids, what shells take for an option or a hidden file, and all that is not ASCII,
//! because systems fold its case and normalise it in ways that differ.
//!
//! ASCII case is kept, though some systems fold it: SQLite itself allows no two tables that differ
//! in ASCII case only, so no two files of a snapshot do. All other names stay apart under any
//! folding, for what is left as it is, is ASCII, and `%` and `~` are always written `%25` and `%7E`.

/// The file that describes an export; no entity's file has this name.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Longest encoded name; most systems take 255 bytes, and tools add suffixes.
pub const NAME_BYTES_MAX: usize = 200;

const DIGEST_DIGITS: usize = 32;
/// Names that Windows gives to devices, whatever extension follows.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// The name of the file that holds an entity's records.
///
/// Equal for equal names; different, also without regard to case, for names that differ in more
/// than ASCII case.
pub fn entity_file(entity: &str) -> String {
    let mut name = encode(entity);
    if name.len() > NAME_BYTES_MAX {
        name = cut(&name, entity);
    }
    if name.is_empty() {
        // `~` is never written otherwise, but before the digest of a name that was cut.
        name.push_str("~empty");
    }
    name.push_str(".json");
    name
}

fn encode(entity: &str) -> String {
    let first_is_unsafe = is_device(entity) || entity.eq_ignore_ascii_case("manifest");
    let last = entity.len().saturating_sub(1);
    let mut name = String::with_capacity(entity.len());
    for (at, byte) in entity.bytes().enumerate() {
        let at_edge = at == 0 || at == last;
        let stays = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => true,
            b'.' | b'-' | b' ' => !at_edge,
            b'"' | b'*' | b'/' | b':' | b'<' | b'>' | b'?' | b'\\' | b'|' | b'%' | b'~' => false,
            _ => byte.is_ascii_graphic(),
        };
        if stays && !(at == 0 && first_is_unsafe) {
            name.push(char::from(byte));
        } else {
            push_escape(&mut name, byte);
        }
    }
    name
}

fn push_escape(name: &mut String, byte: u8) {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value & 15)]);
    name.extend(['%', digit(byte >> 4), digit(byte)]);
}

/// True for `CON`, `nul.txt`, `COM1`: what stands before the first dot names a device.
fn is_device(entity: &str) -> bool {
    let stem = entity.split('.').next().unwrap_or("").trim_end_matches(' ');
    let stem = stem.to_ascii_lowercase();
    let numbered = |kind| {
        let number = stem.strip_prefix(kind).unwrap_or("");
        number.len() == 1 && number.bytes().all(|digit| digit.is_ascii_digit())
    };
    DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}

/// The beginning of a long name, no escape split, then the digest of the whole.
fn cut(name: &str, entity: &str) -> String {
    let mut end = NAME_BYTES_MAX - DIGEST_DIGITS - 1;
    if let Some(escape) = name[..end].rfind('%')
        && escape + 3 > end
    {
        end = escape;
    }
    let digest = blake3::hash(entity.as_bytes()).to_hex();
    format!("{}~{}", &name[..end], &digest[..DIGEST_DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_readable_where_they_can() {
        let table = [
            ("suppliers", "suppliers.json"),
            ("Album", "Album.json"),
            ("Order Details", "Order Details.json"),
            ("notes_fts_data", "notes_fts_data.json"),
            ("a.b", "a.b.json"),
            ("o'neill & co", "o'neill & co.json"),
        ];
        for (entity, file) in table {
            assert_eq!(entity_file(entity), file);
        }
    }

    #[test]
    fn whatever_could_hurt_is_escaped() {
        let table = [
            ("", "~empty.json"),
            ("..", "%2E%2E.json"),
            (".", "%2E.json"),
            ("../etc/passwd", "%2E.%2Fetc%2Fpasswd.json"),
            ("-rf", "%2Drf.json"),
            (" lead and trail ", "%20lead and trail%20.json"),
            ("dot.", "dot%2E.json"),
            (
                "a/b\\c:d*e?f\"g<h>i|j%k~",
                "a%2Fb%5Cc%3Ad%2Ae%3Ff%22g%3Ch%3Ei%7Cj%25k%7E.json",
            ),
            ("tab\tnul\0del\x7f", "tab%09nul%00del%7F.json"),
            ("É", "%C3%89.json"),
            ("é", "%C3%A9.json"),
            ("e\u{301}", "e%CC%81.json"),
            ("CON", "%43ON.json"),
            ("nul.txt", "%6Eul.txt.json"),
            ("com1", "%63om1.json"),
            ("Lpt9 .x", "%4Cpt9 .x.json"),
            ("com", "com.json"),
            ("com10", "com10.json"),
            ("console", "console.json"),
            ("Manifest", "%4Danifest.json"),
        ];
        for (entity, file) in table {
            assert_eq!(entity_file(entity), file);
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "ä".repeat(300);
        let (one, two) = (
            entity_file(&format!("{long}1")),
            entity_file(&format!("{long}2")),
        );
        assert_ne!(one, two);
        assert!(one.len() <= NAME_BYTES_MAX + 5, "{one}");
        assert!(
            one.starts_with("%C3%A4%C3%A4") && one.contains("%C3~"),
            "{one}"
        );
        let exact = "x".repeat(NAME_BYTES_MAX);
        assert_eq!(entity_file(&exact), format!("{exact}.json"));
        assert_eq!(entity_file(&format!("{exact}x")).len(), NAME_BYTES_MAX + 5);
    }

    proptest! {
        /// Names from an alphabet in which folding, escapes and devices meet.
        #[test]
        fn no_two_entities_share_a_file(
            a in "[aAéÉ%~eE3C./ x-]{0,5}|(?i)con|(?i)manifest|~empty|%43on",
            b in "[aAéÉ%~eE3C./ x-]{0,5}|(?i)con|(?i)manifest|~empty|%43on",
        ) {
            let (file_a, file_b) = (entity_file(&a), entity_file(&b));
            prop_assert!(!file_a.eq_ignore_ascii_case(&file_b) || a.eq_ignore_ascii_case(&b));
            prop_assert!(file_a.is_ascii() && !file_a.eq_ignore_ascii_case(MANIFEST_FILE));
        }
    }
}
