//! Names of tables and columns in words of the command line: `T.column`, `T=a,b`, `T.a=P.b`.
//!
//! A name that holds a separator is quoted as in SQL: `"my.table"."a col"`, `""` for a quote in it.
//! Without quotes `T.column` splits at its last dot. Errors say what was expected, with an example.

use crate::ops::restore::DeclaredKey;
use crate::ops::restore::DeclaredReference;
use crate::ops::restore::KeyValue;
use crate::ops::restore::Rename;

/// `orders`, or `"my table"` in quotes.
pub fn table(word: &str) -> Result<String, String> {
    name(word).ok_or_else(|| expected("a table, as orders", word))
}

/// `products=brand,name`
pub fn key(word: &str) -> Result<DeclaredKey, String> {
    let parse = || {
        let (table, columns) = halves(word, '=')?;
        Some(DeclaredKey {
            table: name(table)?,
            columns: split(columns, ',')?
                .into_iter()
                .map(name)
                .collect::<Option<_>>()?,
        })
    };
    let key =
        parse().ok_or_else(|| expected("TABLE=COLUMN,COLUMN as products=brand,name", word))?;
    if let Some(twice) = repeated(&key.columns) {
        return Err(format!("column {twice:?} is named twice"));
    }
    Ok(key)
}

/// `orders.customer=customers.id`
pub fn reference(word: &str) -> Result<DeclaredReference, String> {
    let parse = || {
        let (child, parent) = halves(word, '=')?;
        references(child, parent)
    };
    parse().ok_or_else(|| {
        let form = "TABLE.COLUMN=PARENT.COLUMN as orders.customer=customers.id";
        expected(form, word)
    })
}

/// `orders.customer` and `customers.id`; `None` if one of them is no column.
pub fn references(child: &str, parent: &str) -> Option<DeclaredReference> {
    let ((table, column), (parent, parent_column)) = (column(child)?, column(parent)?);
    Some(DeclaredReference {
        table,
        column,
        parent,
        parent_column,
    })
}

/// `orders.cust=customer`
pub fn rename(word: &str) -> Result<Rename, String> {
    let parse = || {
        let (old, new) = halves(word, '=')?;
        let (table, old) = column(old)?;
        let new = name(new)?;
        Some(Rename { table, old, new })
    };
    parse().ok_or_else(|| expected("TABLE.OLD=NEW as orders.cust=customer", word))
}

/// `orders=77`; the value is taken as it is.
pub fn key_value(word: &str) -> Result<KeyValue, String> {
    let wrong = || expected("TABLE=KEY as orders=77", word);
    let equals = places(word, '=').first().copied().ok_or_else(wrong)?;
    let table = name(&word[..equals]).ok_or_else(wrong)?;
    let value = word[equals + 1..].to_owned();
    if value.is_empty() {
        return Err(format!(
            "the key of {table:?} is empty; expected TABLE=KEY as orders=77 (an empty text as key: --where)"
        ));
    }
    Ok(KeyValue { table, value })
}

fn expected(form: &str, word: &str) -> String {
    let quotes = match word.matches('"').count() % 2 {
        0 => "a name that holds . = or , is quoted: \"my.table\"",
        _ => "a quote in it is not closed",
    };
    format!("expected {form} ({quotes})")
}

/// `T.column`, split at the last dot outside of quotes.
fn column(word: &str) -> Option<(String, String)> {
    let dot = places(word, '.').pop()?;
    Some((name(&word[..dot])?, name(&word[dot + 1..])?))
}

/// A word in two at its only separator outside of quotes.
fn halves(word: &str, separator: char) -> Option<(&str, &str)> {
    match places(word, separator)[..] {
        [at] => Some((&word[..at], &word[at + 1..])),
        _ => None,
    }
}

/// The parts between separators outside of quotes; `None` if a quote is not closed.
fn split(word: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for at in places(word, separator) {
        parts.push(word.get(begin..at)?);
        begin = at + 1;
    }
    parts.push(word.get(begin..)?);
    Some(parts)
}

/// Where a separator, one byte long, stands outside of quotes.
fn places(word: &str, separator: char) -> Vec<usize> {
    let mut quoted = false;
    let mut places = Vec::new();
    for (at, c) in word.char_indices() {
        quoted ^= c == '"';
        if c == separator && !quoted {
            places.push(at);
        }
    }
    places
}

/// One name: as it is, or in quotes.
fn name(part: &str) -> Option<String> {
    let Some(rest) = part.strip_prefix('"') else {
        return (!part.is_empty() && !part.contains('"')).then(|| part.to_owned());
    };
    let inner = rest.strip_suffix('"')?;
    let unquoted = inner.replace("\"\"", "\u{0}");
    if unquoted.is_empty() || unquoted.contains('"') || inner.contains('\u{0}') {
        return None;
    }
    Some(unquoted.replace('\u{0}', "\""))
}

/// A name as `table` understands it.
pub fn written(name: &str) -> String {
    match name.contains('"') {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_owned(),
    }
}

/// A name that is there twice; case does not count, as in SQLite.
pub fn repeated(names: &[String]) -> Option<&String> {
    names.iter().enumerate().find_map(|(at, name)| {
        let mut before = names[..at].iter();
        before
            .any(|other| other.eq_ignore_ascii_case(name))
            .then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(word: &str) -> Option<(String, String)> {
        column(word)
    }

    fn some(table: &str, column: &str) -> Option<(String, String)> {
        Some((table.to_owned(), column.to_owned()))
    }

    #[test]
    fn a_column_is_split_at_its_last_dot_unless_quoted() {
        assert_eq!(pair("orders.customer"), some("orders", "customer"));
        assert_eq!(pair("my.table.col"), some("my.table", "col"));
        assert_eq!(pair("my table.a col"), some("my table", "a col"));
        assert_eq!(pair(r#""my.table"."a.col""#), some("my.table", "a.col"));
        assert_eq!(pair(r#"t."a.col""#), some("t", "a.col"));
        assert_eq!(pair(r#""say ""hi""".x"#), some(r#"say "hi""#, "x"));
        assert_eq!(pair("größe.é"), some("größe", "é"));
    }

    #[test]
    fn what_is_no_column_is_refused() {
        for word in [
            "",
            "orders",
            ".x",
            "orders.",
            "\"t.x",
            "t.\"x",
            "\"\".x",
            "a\"b.c",
            "\"a\"b.c",
            "\"a\".\"b\".c",
        ] {
            assert_eq!(pair(word), None, "{word}");
        }
    }

    #[test]
    fn keys_have_one_column_or_several() {
        let key_of = |word| key(word).map(|key| (key.table, key.columns));
        let columns = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            key_of("products=brand,name"),
            Ok(("products".into(), columns(&["brand", "name"])))
        );
        assert_eq!(
            key_of(r#""a=b"="x,y",z"#),
            Ok(("a=b".into(), columns(&["x,y", "z"])))
        );
        for word in ["products", "products=", "=a", "t=a,", "t=a=b", "t=\"a"] {
            let error = key(word).unwrap_err();
            assert!(error.contains("products=brand,name"), "{word}: {error}");
        }
        assert_eq!(
            key("t=a,A").unwrap_err(),
            "column \"A\" is named twice".to_owned()
        );
    }

    #[test]
    fn references_renames_and_keys_of_records_are_understood() {
        let found = reference("orders.customer=customers.id").unwrap();
        assert_eq!(
            (
                &*found.table,
                &*found.column,
                &*found.parent,
                &*found.parent_column
            ),
            ("orders", "customer", "customers", "id")
        );
        let found = rename(r#""a.b".old=new"#).unwrap();
        assert_eq!(
            (&*found.table, &*found.old, &*found.new),
            ("a.b", "old", "new")
        );
        let found = key_value("orders=a=b, \"c\"").unwrap();
        assert_eq!((&*found.table, &*found.value), ("orders", "a=b, \"c\""));
    }

    #[test]
    fn every_mistake_says_what_was_expected_with_an_example() {
        let said = [
            (table(""), "orders"),
            (
                reference("orders=customers").map(|_| String::new()),
                "customers.id",
            ),
            (
                reference("a.b=c.d=e.f").map(|_| String::new()),
                "customers.id",
            ),
            (
                rename("orders=x").map(|_| String::new()),
                "orders.cust=customer",
            ),
            (key_value("orders").map(|_| String::new()), "orders=77"),
            (key_value("orders=").map(|_| String::new()), "orders=77"),
            (table("\"x"), "not closed"),
        ];
        for (result, example) in said {
            let error = result.unwrap_err();
            assert!(error.contains(example), "{error}");
        }
    }
}
