"""Which of torture.py's cases a copy passes: CASES.tsv names the objects of each case, dbdiff.py what differs.

A case fails where one of its objects differs. Three things are told apart so that nothing fails for another's fault: bare
rowids and creation order count in the cases of rowids only; in the tables of values a row counts for the cases that its
value belongs to; and a table in which nothing but bits of floats differ counts for the cases of floats only."""
import math
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import dbdiff  # noqa: E402
import torture  # noqa: E402

OF_ROWIDS = {43, 44}
OF_VALUES = {27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 42, 49}
LARGE = 65536
VALUE_TABLES = {"vals": "v", "aff": "x", "strict_any": "a"}
SETTINGS = ("page_size", "encoding", "auto_vacuum", "user_version", "application_id", "journal_mode")
# torture.py lists case 73 under the settings, because enforcement is one. What it can do to a copy shows here.
INSTEAD = {73: "viol_p, viol_c, viol_wr"}
# The object of a line that means the whole file.
WHOLE = "-"
NAMES = {
    1: "commits only in the WAL", 14: "hot journal", 21: "damaged source", 22: "index and table disagree", 24: "empty, or no database",
    25: "encrypted", 27: "storage class of each value", 28: "1, 1.0, '1', x'31'", 29: "text with NUL", 30: "text that is not UTF-8",
    31: "UTF-16, lone surrogates", 32: "text as it is", 33: "integers to 2^63", 34: "floats bit for bit", 35: "infinities", 36: "-0.0",
    37: "values under affinity", 38: "NULL, '', x''", 39: "large values", 40: "1,990 columns", 41: "rows from before ADD COLUMN",
    42: "blobs", 43: "rowids", 44: "columns named rowid", 45: "INTEGER PRIMARY KEY DESC", 46: "NULL in PRIMARY KEY",
    47: "no key, equal rows", 48: "WITHOUT ROWID", 49: "STRICT, ANY", 50: "generated columns", 51: "AUTOINCREMENT",
    52: "sqlite_sequence, sqlite_stat1", 53: "settings", 54: "user_version, application_id", 55: "schema text", 56: "odd names",
    57: "collations", 58: "unknown collation or function", 59: "indexes of every kind", 60: "views and triggers, also broken",
    62: "order of columns", 63: "defaults that call functions", 64: "shadow tables", 65: "FTS with own content",
    66: "FTS with external content", 67: "FTS without content", 68: "FTS out of step", 69: "R*Tree, Geopoly", 70: "fts5vocab, dbstat",
    71: "missing modules", 72: "virtual tables make their own", 73: "enforcement of foreign keys", 76: "violations already there",
    77: "cycles, self references", 78: "composite and UNIQUE parents", 79: "missing parent, mismatch", 80: "NULL in a foreign key",
    81: "undeclared references", 86: "rows that break CHECK, NOT NULL", 87: "triggers must not fire",
}


def listed(cases_tsv):
    """-> [(number, file, objects, note)] of CASES.tsv"""
    lines = cases_tsv.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t", 3) for line in lines]
    return [(int(number), file, objects, note) for number, file, objects, note in rows]


class Original:
    """The objects of a database before anything was done to it."""

    def __init__(self, path):
        side = dbdiff.Side(str(path))
        self.owner = {key: tbl for key, (tbl, _) in side.schema.items()}
        virtual = [name for (typ, name) in side.schema if typ == "table" and not side.root[name]]
        self.virtual_of = {}
        for name in side.root:
            owners = [v for v in virtual if name.startswith(v + "_")]
            if owners and name not in virtual:
                self.virtual_of[name] = max(owners, key=len)
        self.values = {table: self._values(side, table, column) for table, column in VALUE_TABLES.items() if table in side.root}
        self.encoding = side.enc
        side.close()

    def _values(self, side, table, column):
        sql = 'select id, typeof(%s), case typeof(%s) when \'text\' then cast(%s as blob) else %s end from "%s"' % (
            column, column, column, column, table)
        return {row[0]: row[1:] for row in side.con.execute(sql)}

    def touched(self, report, whole):
        """The names that differ: tables with what belongs to them, views, and pragmas as "pragma NAME".

        `whole`: the report with rowids. A table in which only bits of floats differ is left to the cases of floats."""
        names = set()
        for count in report["counts"]:
            kind, name = count["kind"], count["name"]
            if kind == "pragma":
                names.add("pragma " + name)
                continue
            if kind == "table" and floats_only(whole, name):
                continue
            if kind == "schema":
                typ, _, name = name.partition(" ")
                names.add(name)
                name = self.owner.get((typ, name), name)
            names |= {name, self.virtual_of.get(name, name)}
        return names


def classes(value, encoding):
    """The cases that a value belongs to."""
    typ, v = value
    if typ == "null":
        return {38}
    if typ == "integer":
        return {28} if v == 1 else {33} if abs(v) > 2**53 else set()
    if typ == "real":
        return {35} if math.isinf(v) else {36} if v == 0 and math.copysign(1, v) < 0 else {28} if v == 1 else {34}
    if typ == "blob":
        return {38} if v == b"" else {28} if v == b"1" else {39, 42} if len(v) >= LARGE else {42}
    codec = encoding.replace("UTF-16", "utf-16-")
    if "\0" in v.decode(codec, "replace"):
        return {29}
    try:
        text = v.decode(codec)
    except UnicodeDecodeError:
        return {30 if encoding == "UTF-8" else 31}
    return {38} if text == "" else {28} if text == "1" else {32}


def parts(detail):
    """The storage classes before and after of each value that dbdiff.py names in a row; None if a whole row is missing."""
    if " only in A" in detail[:200] or " only in B" in detail[:200] or "   B " not in detail:
        return None
    pairs = [part.split("   B ", 1) for part in detail.split(": A ")[1:]]
    return [(before.split(" ")[0], after.split(" ")[0].rstrip(";")) for before, after in pairs if after]


def details_of(report, table):
    """What dbdiff.py says of the rows of a table; None if it does not show all of them."""
    shown = [i["detail"] for i in report["differences"] if i["kind"] == "table" and i["name"] == table]
    total = sum(c["count"] for c in report["counts"] if c["kind"] == "table" and c["name"] == table)
    return shown if total == len(shown) else None


def floats_only(report, table):
    """Whether nothing but the bits of floats differs in a table."""
    return all(pairs and set(pairs) == {("real", "real")} for pairs in map(parts, details_of(report, table) or [""]))


def failed_values(report, original):
    """table of values -> the cases that its differing rows belong to; all of them where rows are not told apart."""
    found = {}
    for table in {c["name"] for c in report["counts"] if c["kind"] == "table"} & set(original.values):
        found[table] = cases = set()
        for detail in details_of(report, table) or [""]:
            rowid = detail.removeprefix("rowid ").split(":")[0]
            value = original.values[table].get(int(rowid)) if detail.startswith("rowid ") else None
            if value is None:
                cases |= OF_VALUES
                continue
            cases |= classes(value, original.encoding)
            pairs = parts(detail)
            # A float that was cut short to a whole number becomes an integer where the column prefers them.
            if pairs is None or any(before != after and before != "real" for before, after in pairs):
                cases |= {27, 49}
            if value[0] in ("integer", "real") and (pairs is None or any(before != after for before, after in pairs)):
                cases.add(37)
    return found


def of_case(number, objects, note):
    """The objects of a line of CASES.tsv, as `touched` names them."""
    objects = INSTEAD.get(number, objects)
    if objects == WHOLE:
        return None
    if objects == "(settings)":
        return {"pragma " + word for word in SETTINGS if word in note}
    if objects.endswith(" tables"):
        return set(torture.NAMES)
    found = set(objects.split(", "))
    return found | {"pragma user_version"} if number == 53 else found


def judge(lines, verdicts):
    """lines of CASES.tsv, (file -> verdict) -> number -> [(file, passed)]"""
    found = {}
    for number, file, objects, note in lines:
        v = verdicts.get(file)
        if v is None:
            continue
        found.setdefault(number, []).append((file, v.passes(number, of_case(number, objects, note))))
    return found
