#!/usr/bin/env python3
"""Builds an SQLite file from a snapshot that reader.py reads, for comparison with the source.

    rebuild.py STORE OUT.db [SNAPSHOT]

Statistics are not filled (ANALYZE makes them again). Exit: 0 good, 1 damage.
"""
import os, sqlite3, sys
from reader import Damage, leaf_columns, need, read, records

class Builder:
    """An SQLite file: tables, records, then all else."""
    def __init__(self, path, manifest, schema):
        need(not os.path.exists(path), f"{path} exists already")
        self.db, self.schema, s = sqlite3.connect(path, isolation_level=None), schema, manifest["settings"]
        for name in ("page_size", "encoding", "auto_vacuum", "user_version", "application_id"):
            self.db.execute(f"PRAGMA {name} = {s[name]!r}")
        self.create(lambda o: o["kind"] == "table" and not o["name"].startswith("sqlite_"))
        self.db.execute("BEGIN")

    def create(self, which):  # a virtual table makes its shadow tables itself
        for o in sorted(filter(which, self.schema["objects"]), key=lambda o: "VIRTUAL" not in (o["sql"] or "")[:20]):
            there = self.db.execute("SELECT 1 FROM sqlite_schema WHERE name = ? AND type = ?", (o["name"], o["kind"]))
            if o["sql"] and not there.fetchone():
                self.db.execute(o["sql"])

    def insert(self, table, rowid, row):
        name = table["name"]
        alias, columns = leaf_columns(table)
        if rowid is not None:  # an INTEGER value like any other, under the column's or the rowid's name
            rowid_name = table["columns"][alias]["name"] if alias is not None else table["kind"]["rowid"]["rowid_name"]
            row, columns = row + [(1, rowid)], columns + [None]
        kept = [(i, v) for i, v in zip(columns, row) if i is None or table["columns"][i].get("kind") is None]
        names = ['"' + (rowid_name if i is None else table["columns"][i]["name"]).replace('"', '""') + '"' for i, _ in kept]
        marks = ["CAST(? AS TEXT)" if c == 3 else "?" for _, (c, _) in kept]  # texts keep their bytes
        into = '"' + name.replace('"', '""') + '"'
        text = f"INSERT OR REPLACE INTO {into}({', '.join(names)}) VALUES({', '.join(marks)})"
        self.db.execute(text, [v for _, (_, v) in kept])

    def finish(self):
        self.create(lambda o: o["kind"] != "table")
        self.db.execute("COMMIT")
        self.db.close()


def main(path, out, prefix=""):
    store, manifest, schema = read(path, prefix)
    builder = Builder(out, manifest, schema)
    emptied = False
    for table, rowid, row in records(store, manifest, schema):
        if table["name"] == "sqlite_sequence" and not emptied:
            builder.db.execute("DELETE FROM sqlite_sequence")
            emptied = True
        if not table["name"].startswith("sqlite_stat"):
            builder.insert(table, rowid, row)
    builder.finish()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except Damage as e:
        sys.exit(f"rebuild.py: {e}")
