//! Schemas and rows of the model as SQL, and rows read back: how the model meets SQLite.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::tables::{Affinity, Database, Row, Schema, Table, Value};

/// Which of the two databases is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Snapshot,
    Live,
}

fn names(table: &Table, columns: &[usize]) -> String {
    let names: Vec<&str> = columns
        .iter()
        .map(|&c| table.columns[c].name.as_str())
        .collect();
    names.join(", ")
}

fn create(schema: &Schema, table: &Table, half: Half) -> String {
    let mut parts = Vec::new();
    for (c, column) in table.columns.iter().enumerate() {
        let kind = match column.affinity {
            Affinity::Integer => " INTEGER",
            Affinity::Text => " TEXT",
            Affinity::None => "",
        };
        let key = match (
            table.has_alias() && table.primary == [c],
            table.autoincrement,
        ) {
            (true, true) => " PRIMARY KEY AUTOINCREMENT",
            (true, false) => " PRIMARY KEY",
            _ => "",
        };
        let nocase = if column.nocase { " COLLATE NOCASE" } else { "" };
        let not_null = if column.not_null { " NOT NULL" } else { "" };
        parts.push(format!("{}{kind}{key}{nocase}{not_null}", column.name));
    }
    if !table.primary.is_empty() && !table.has_alias() {
        parts.push(format!("PRIMARY KEY({})", names(table, &table.primary)));
    }
    let is_here = |in_snapshot: bool, in_live: bool| match half {
        Half::Snapshot => in_snapshot,
        Half::Live => in_live,
    };
    let keys = table
        .unique
        .iter()
        .filter(|key| is_here(key.in_snapshot, key.in_live));
    let mut indexes = String::new();
    for (n, key) in keys.enumerate() {
        let columns = names(table, &key.columns);
        match key.as_index {
            true => {
                let name = &table.name;
                indexes += &format!("CREATE UNIQUE INDEX {name}_{n} ON {name}({columns});\n");
            }
            false => parts.push(format!("UNIQUE({columns})")),
        }
    }
    for r in table
        .references
        .iter()
        .filter(|r| is_here(r.in_snapshot, r.in_live))
    {
        let parent = &schema.tables[r.parent];
        parts.push(format!(
            "FOREIGN KEY({}) REFERENCES {}({}){}",
            names(table, &r.columns),
            parent.name,
            names(parent, &r.parent_columns),
            r.action
        ));
    }
    let end = if table.without_rowid {
        " WITHOUT ROWID"
    } else {
        ""
    };
    format!(
        "CREATE TABLE {}({}){end};\n{indexes}",
        table.name,
        parts.join(", ")
    )
}

/// Makes the database: for people too.
pub fn script(schema: &Schema, db: &Database, half: Half) -> String {
    let mut sql: String = schema
        .tables
        .iter()
        .map(|t| create(schema, t, half))
        .collect();
    for (table, rows) in schema.tables.iter().zip(&db.rows) {
        let hidden = !table.without_rowid && !table.has_alias();
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let columns = if hidden { "rowid, " } else { "" }.to_owned() + &names(table, &all);
        for row in rows {
            let mut values: Vec<String> = row.values.iter().map(Value::sql).collect();
            if hidden {
                values.insert(0, row.rowid.to_string());
            }
            let values = values.join(", ");
            sql += &format!("INSERT INTO {}({columns}) VALUES({values});\n", table.name);
        }
    }
    for (table, sequence) in schema.tables.iter().zip(&db.sequence) {
        if table.autoincrement && *sequence > 0 {
            let name = &table.name;
            sql += &format!(
                "DELETE FROM sqlite_sequence WHERE name = '{name}'; INSERT INTO sqlite_sequence VALUES('{name}', {sequence});\n"
            );
        }
    }
    sql
}

/// All rows, as SQLite gives them.
pub fn read(schema: &Schema, db: &Connection) -> Database {
    let mut found = Database::empty(schema);
    for (t, table) in schema.tables.iter().enumerate() {
        let rowid = if table.without_rowid { "0" } else { "rowid" };
        let sql = format!("SELECT {rowid}, * FROM {}", table.name);
        let mut statement = db.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let value = |c: usize| match row.get_ref(c + 1).unwrap() {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(v) => Value::Int(v),
                ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
                other => panic!("the model knows no {other:?}"),
            };
            found.rows[t].push(Row {
                rowid: row.get(0).unwrap(),
                values: (0..table.columns.len()).map(value).collect(),
            });
        }
        if table.autoincrement {
            let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?";
            found.sequence[t] = db.query_row(sql, [&table.name], |row| row.get(0)).unwrap();
        }
    }
    found.sort(schema);
    found
}
