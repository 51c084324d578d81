//! What statements may do: nothing outside the database, and for a stored schema text nothing but
//! creating the one object that it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::statement::SqliteError;

/// Functions that reach outside the database or load code.
const FUNCTIONS_REFUSED: [&str; 5] = [
    "load_extension",
    "fts3_tokenizer",
    "readfile",
    "writefile",
    "edit",
];

/// Settings that [`super::Connection`] has made already, and folders that are the process's.
const PRAGMAS_REFUSED: [&str; 4] = [
    "writable_schema",
    "trusted_schema",
    "temp_store_directory",
    "data_store_directory",
];

/// Turned on while a stored schema text is prepared.
#[derive(Debug, Clone, Default)]
pub(super) struct SchemaOnly(Arc<AtomicBool>);

impl SchemaOnly {
    pub(super) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Installs the authorizer. Returns the switch for stored schema texts.
pub(super) fn install(db: &mut rusqlite::Connection) -> Result<SchemaOnly, SqliteError> {
    let schema_only = SchemaOnly::default();
    let switch = schema_only.clone();
    db.authorizer(Some(move |context: AuthContext<'_>| {
        let allowed = allowed_always(&context) && (!switch.is_on() || creates_only(&context));
        if allowed {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))?;
    Ok(schema_only)
}

/// No other file, no temporary object, no code from outside.
fn allowed_always(context: &AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => false,
        AuthAction::Function { function_name } => !FUNCTIONS_REFUSED
            .iter()
            .any(|name| name.eq_ignore_ascii_case(function_name)),
        // Asking for a setting stays allowed.
        AuthAction::Pragma {
            pragma_name,
            pragma_value: Some(value),
        } => {
            let mut refused = PRAGMAS_REFUSED.iter();
            // RESET turns the first of them off, and has the schema parsed anew.
            value.eq_ignore_ascii_case("RESET")
                || !refused.any(|name| name.eq_ignore_ascii_case(pragma_name))
        }
        _ => true,
    }
}

/// What CREATE TABLE, INDEX, VIEW and TRIGGER need, and no more. SQLite checks no inner statement
/// of views and triggers when it creates them, so SELECT is not needed.
fn creates_only(context: &AuthContext<'_>) -> bool {
    if context.database_name.is_some_and(|name| name != "main") {
        return false;
    }
    match context.action {
        AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Read { .. }
        | AuthAction::Function { .. } => true,
        AuthAction::Insert { table_name } | AuthAction::Update { table_name, .. } => {
            matches!(table_name, "sqlite_master" | "sqlite_schema")
        }
        _ => false,
    }
}
