//! The only place that puts a name into SQL text.

/// A name that SQL cannot hold: it contains NUL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name holds a NUL character: {0:?}")]
pub struct NameError(pub String);

/// Quotes a name as an SQL identifier: any text is a name, but one with NUL.
pub fn ident(name: &str) -> Result<String, NameError> {
    if name.contains('\0') {
        return Err(NameError(name.to_owned()));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// Quotes names and joins them by commas.
pub fn idents<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<String, NameError> {
    let quoted: Result<Vec<String>, NameError> = names.into_iter().map(ident).collect();
    Ok(quoted?.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever a table is called, the quoted name means that table and nothing else.
        #[test]
        fn every_name_survives_quoting(name in "[^\0]{1,20}") {
            let quoted = ident(&name).unwrap();
            let db = rusqlite::Connection::open_in_memory().unwrap();
            proptest::prop_assume!(!name.to_ascii_lowercase().starts_with("sqlite_"));
            db.execute(&format!("CREATE TABLE {quoted}(a)"), []).unwrap();
            let found: String = db
                .query_row("SELECT name FROM sqlite_schema", [], |row| row.get(0))
                .unwrap();
            proptest::prop_assert_eq!(found, name);
        }
    }

    #[test]
    fn a_name_with_nul_is_refused() {
        assert!(ident("a\0b").is_err());
        assert_eq!(idents(["a\"b", ""]), Ok("\"a\"\"b\", \"\"".to_owned()));
    }
}
