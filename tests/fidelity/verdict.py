"""What became of one database on one way: the judgement of dbdiff.py, in words and as data."""
import json
import subprocess
import sys
from dataclasses import dataclass

import cases
import ways

# Rowids that nothing names, and creation order: most ways lose them, and most databases do not notice.
NOT_ROWIDS = "rowid,order"
MAX_DETAILS = 5000


def differences(pristine, copy, ignore="", limit=1):
    """What dbdiff.py says, as its JSON; a text where it cannot compare."""
    argv = [sys.executable, cases.TOOLS / "dbdiff.py", "--json", "--limit", str(limit)]
    argv += ["--ignore", ignore] if ignore else []
    done = subprocess.run([*argv, pristine, copy], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode > 1:
        return done.stderr.decode(errors="replace").strip().replace(str(copy), "the copy").replace(str(pristine), "the source")
    return json.loads(done.stdout)


@dataclass
class Verdict:
    state: str                      # equal, differs, fails, unreadable; of what is no database: refused, accepted
    visit: ways.Visit
    report: dict | None = None      # of dbdiff.py
    essence: dict | None = None     # of dbdiff.py without bare rowids and creation order
    original: cases.Original | None = None
    why: str = ""

    @property
    def told(self):
        return self.visit.told

    @property
    def good(self):
        return self.state in ("equal", "refused")

    def passes(self, number, objects):
        """Whether one case of torture.py is as it was; `objects`: those of the case, None for the whole file."""
        if self.state != "differs":
            return self.good
        report = self.report if number in cases.OF_ROWIDS else self.essence
        touched = self.original.touched(report, self.report)
        if objects is None:
            return not touched
        if number in cases.OF_VALUES and objects & set(cases.VALUE_TABLES):
            failed = cases.failed_values(report, self.original)
            of_texts = {c["name"] for c in report["counts"] if c["kind"] == "schema"}
            for table in objects & set(cases.VALUE_TABLES):
                if number in failed.get(table, ()) or "table " + table in of_texts:
                    return False
            objects = objects - set(cases.VALUE_TABLES)
        return not objects & touched

    @property
    def rows_and_schema(self):
        """Whether all is there but for settings, creation order and rowids that nothing names."""
        return self.good or (self.state == "differs" and all(c["kind"] == "pragma" for c in self.essence["counts"]))

    def word(self):
        """One word, as in the tables."""
        words = {"equal": "equal, announced" if self.told else "equal", "fails": "fails", "refused": "refused"}
        return words.get(self.state) or self.state + (", told" if self.told else ", silently")

    def summary(self):
        """What differs, counted."""
        if self.state != "differs":
            return self.why
        kinds = {}
        for count in self.essence["counts"]:
            kinds.setdefault(count["kind"], []).append(count["name"])
        parts = []
        for kind, one in (("pragma", ""), ("schema", "schema object"), ("table", "table"), ("virtual", "virtual table")):
            names = kinds.pop(kind, [])
            if kind == "virtual":
                names = sorted(set(names).union(*kinds.values()))
            if names and not one:
                parts.append(", ".join(names))
            elif names:
                parts.append("%d %s%s" % (len(names), one, "s" if len(names) > 1 else ""))
        return "; ".join(parts) or "rowids or creation order only"


def of_copy(pristine, original, visited, is_database):
    """Judges what a way made of a database, or of a file that is none."""
    if not is_database:
        refused = any(visited.codes) and (visited.copy is None or visited.copy.stat().st_size == 0)
        return Verdict("refused" if refused else "accepted", visited, why=ways.message(visited))
    if visited.copy is None:
        return Verdict("fails", visited, why=ways.message(visited) or "no copy")
    report = differences(pristine, visited.copy, limit=MAX_DETAILS)
    if isinstance(report, str):
        return Verdict("unreadable", visited, why=report)
    if report["equal"]:
        return Verdict("equal", visited, report, report, original)
    objects = {key for key in original.owner if key[0] == "table"}
    lost = {c["name"].removeprefix("table ") for c in report["counts"] if c["kind"] == "schema"}
    if any(visited.codes) and objects and all(name in lost for _, name in objects):
        return Verdict("fails", visited, why=ways.message(visited))
    essence = differences(pristine, visited.copy, NOT_ROWIDS, MAX_DETAILS)
    return Verdict("differs", visited, report, essence, original)
