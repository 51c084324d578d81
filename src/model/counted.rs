//! Numbers with their nouns, as people write them: `1 record`, `3,738 records`.

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

/// `1 record`, `3,738 records`; a noun in `-y` becomes `-ies`. Only the last word changes.
pub fn counted(n: u64, noun: &str) -> String {
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !ends_in_vowel(stem) => format!("{} {stem}ies", count(n)),
        (_, _) => format!("{} {noun}s", count(n)),
    }
}

/// The form of a verb, or of a pronoun, that goes with a number.
pub fn agree<'w>(n: u64, one: &'w str, many: &'w str) -> &'w str {
    match n {
        1 => one,
        _ => many,
    }
}

fn ends_in_vowel(stem: &str) -> bool {
    stem.ends_with(['a', 'e', 'o', 'u'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_nothing_else_is() {
        let shown: Vec<String> = [0, 999, 1000, 3738, 1_234_567].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "3,738", "1,234,567"]);
        assert_eq!(counted(1, "entity"), "1 entity");
        assert_eq!(counted(2, "entity"), "2 entities");
        assert_eq!(counted(2, "key"), "2 keys");
        assert_eq!(counted(0, "record"), "0 records");
        assert_eq!(agree(1, "refers", "refer"), "refers");
        assert_eq!(agree(0, "refers", "refer"), "refer");
    }
}
