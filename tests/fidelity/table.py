"""The tables of fidelity.py, as text and as the Markdown that stands in docs/fidelity.md."""
from dataclasses import dataclass
from pathlib import PurePath

import cases
import live

BEGIN, END = "<!-- results: written by tests/fidelity/fidelity.py --into -->", "<!-- end of results -->"
# The shell's name goes before what is a command of it.
TITLES = {"larder": "larder", ".dump": "`.dump`", ".backup": "`.backup`", "VACUUM INTO": "`VACUUM INTO`", "iterdump": "`iterdump`", "cp": "`cp`"}


def grid(rows, markdown):
    """Rows of cells, the first of them the head."""
    if markdown:
        lines = ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
    plain = [[str(c).replace("**", "").replace("`", "") for c in row] for row in rows]
    widths = [max(len(row[i]) for row in plain) for i in range(len(plain[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in plain)


def bold(text, when):
    return "**%s**" % text if when else text


def cell(v):
    """What became of a database, in a few words."""
    summary = v.summary()
    more = ": " + summary if v.state == "differs" else ""
    return bold(v.word() + more, not v.good and not v.told)


def grouped(of_real):
    """The databases of a series make one row: name -> [verdicts by way]"""
    groups = {}
    for name, by_way in of_real.items():
        folder = PurePath(name).parent
        live_one = name.endswith("-live.db")
        groups.setdefault(name if str(folder) == "." or live_one else str(folder) + "/", []).append(by_way)
    return groups


def series_cell(verdicts):
    """One cell for the databases of a series."""
    bad = [v for v in verdicts if not v.good]
    if not bad:
        return cell(verdicts[0])
    text = cell(bad[0]).strip("*")
    return bold(text if len(verdicts) == len(bad) else "%d of %d: %s" % (len(bad), len(verdicts), text), not all(v.told for v in bad))


@dataclass
class Found:
    about: dict
    chosen: list
    of_torture: dict        # name -> way -> Verdict
    of_real: dict
    lines: list             # of CASES.tsv
    scenes: dict            # scene -> way -> row
    exceptions: dict        # name -> reason

    def head(self, first):
        return [first] + [TITLES[way] for way in self.chosen]

    def of_cases(self):
        """number -> way -> [(file, passed, told)]"""
        found = {}
        for way in self.chosen:
            verdicts = {name: by_way[way] for name, by_way in self.of_torture.items()}
            for number, files in cases.judge(self.lines, verdicts).items():
                found.setdefault(number, {})[way] = [(file, ok, verdicts[file].told) for file, ok in files]
        return found

    def databases_rows(self):
        rows = [self.head("database")]
        for name, by_way in self.of_torture.items():
            rows.append([name] + [cell(by_way[way]) for way in self.chosen])
        for name, members in grouped(self.of_real).items():
            title = name if len(members) == 1 else "%s (%d)" % (name, len(members))
            rows.append([title] + [series_cell([m[way] for m in members]) for way in self.chosen])
        return rows

    def cases_rows(self):
        rows = [["", *self.head("case")]]
        for number, by_way in sorted(self.of_cases().items()):
            cells = []
            for way in self.chosen:
                passed = sum(ok for _, ok, _ in by_way[way])
                silent = any(not ok and not told for _, ok, told in by_way[way])
                of_files = {file: ok for file, ok, _ in reversed(by_way[way])}
                files = {file: all(ok for f, ok, _ in by_way[way] if f == file) for file in of_files}
                good = sum(files.values())
                text = "yes" if passed == len(by_way[way]) else "no" if not good else "%d of %d files" % (good, len(files))
                cells.append(bold(text, silent))
            rows.append([number, cases.NAMES.get(number, "")] + cells)
        return rows

    def scenes_rows(self):
        rows = [self.head("scene")]
        for scene, by_way in self.scenes.items():
            waits = live.SCENES[scene][0] != "idle"
            cells = []
            for way in self.chosen:
                r = by_way[way]
                text = "equal" if r["state"] == "equal" else "%s: %s" % (r["state"], r["why"])
                wait = "; a write waited %d ms" % r["longest_ms"] if waits and r["longest_ms"] >= 100 else ""
                cells.append(bold(text, r["state"] == "differs") + wait)
            rows.append(["%s (case %s)" % (scene, live.SCENES[scene][1]) if "," not in live.SCENES[scene][1] else
                         "%s (cases %s)" % (scene, live.SCENES[scene][1])] + cells)
        return rows

    def visits_rows(self):
        """Case 15: what is left or changed beside the source, and in how many visits."""
        kinds, counts = [], {}
        for by_way in (self.of_torture | self.of_real).values():
            for way in self.chosen:
                for change in by_way[way].visit.source_changes:
                    if change not in kinds:
                        kinds.append(change)
                    counts[change, way] = counts.get((change, way), 0) + 1
        return [self.head("after the visit (case 15)")] + [[kind] + [counts.get((kind, way), 0) for way in self.chosen] for kind in sorted(kinds)]

    def totals_rows(self):
        databases = self.of_torture | self.of_real
        of_cases = self.of_cases()
        rows = [self.head("")]

        def row(title, count):
            rows.append([title] + [count(way) for way in self.chosen])
        row("databases equal, or refused if they are none (%d)" % len(databases), lambda w: sum(d[w].good for d in databases.values()))
        row("equal but for settings, bare rowids and creation order", lambda w: sum(d[w].rows_and_schema for d in databases.values()))
        row("differ, or are taken for one, and nothing is said", lambda w: sum(not d[w].good and not d[w].told for d in databases.values()))
        row("cases passed in every file (%d)" % len(of_cases), lambda w: sum(all(ok for _, ok, _ in c[w]) for c in of_cases.values()))
        return rows

    def failures(self):
        """What larder does not bring back and should."""
        if "larder" not in self.chosen:
            return []
        found = []
        for name, by_way in (self.of_torture | self.of_real).items():
            v = by_way["larder"]
            if not v.good and name not in self.exceptions:
                found.append("%s: %s%s" % (name, v.word(), ": " + v.summary() if v.summary() else ""))
            changes = v.visit.source_changes
            recovered = "-journal is gone" in changes       # SQLite rolled it back, as it must
            if any("another owner" in c or c == "the database is changed" and not recovered for c in changes):
                found.append("%s: after the visit %s" % (name, ", ".join(changes)))
        for scene, by_way in self.scenes.items():
            if by_way["larder"]["state"] != "equal":
                found.append("%s: %s" % (scene, by_way["larder"]["why"]))
        return found

    def tables(self, markdown):
        about = self.about
        versions = about["versions"]
        head = "%s, commit %s, torture.py seed %d (%s). %s; %s (`.dump`, `.backup`, `VACUUM INTO`); %s (`iterdump`)." % (
            about["date"], about["commit"], about["seed"], about["size"], versions["larder"], versions["sqlite3"], versions["iterdump"])
        # A document is committed after the run that it shows: the commit of the run says nothing there.
        parts = [head.replace(", commit " + about["commit"], "") if markdown else head.replace("`", "")]
        titles = (("In short", self.totals_rows()), ("Databases", self.databases_rows()), ("Cases of the checklist", self.cases_rows()),
                  ("Databases in use", self.scenes_rows()), ("The source afterwards", self.visits_rows()))
        for title, rows in titles:
            if len(rows) > 1:
                parts += [("### " if markdown else "") + title, grid(rows, markdown)]
        return parts

    def markdown(self):
        return "\n\n".join(self.tables(True))

    def text(self):
        """The tables, and below them what differs by name and what was said."""
        parts = self.tables(False)
        details = []
        for name, by_way in (self.of_torture | self.of_real).items():
            for way in self.chosen:
                v = by_way[way]
                if v.state == "equal" and not v.told:
                    continue
                details.append("%s, %s: %s, exit codes %s" % (name, way, v.word(), " and ".join(map(str, v.visit.codes))))
                if v.report and not v.good:
                    names = ["%s %s" % (c["kind"], c["name"]) for c in v.report["counts"]]
                    details.append("    " + "; ".join(names[:12]) + ("; %d more" % (len(names) - 12) if len(names) > 12 else ""))
                details += ["    said: " + line for line in v.visit.said.splitlines()[:3]]
        return "\n\n".join(parts + ["Details", "\n".join(details)]).encode("utf-8", "backslashreplace").decode()

    def data(self):
        def one(v):
            return {"state": v.state, "told": v.told, "codes": v.visit.codes, "said": v.visit.said, "source_changes": v.visit.source_changes,
                    "why": v.why, "differences": v.report["counts"] if v.report else [],
                    "without_rowids": v.essence["counts"] if v.essence else []}
        return {"about": self.about,
                "databases": {n: {w: one(v) for w, v in d.items()} for n, d in (self.of_torture | self.of_real).items()},
                "cases": {n: {w: [{"file": f, "passed": ok} for f, ok, _ in c] for w, c in d.items()} for n, d in sorted(self.of_cases().items())},
                "scenes": self.scenes, "failures": self.failures()}


def put_into(document, markdown):
    """Replaces what stands between the marks."""
    before, mark, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise OSError("%s has not the lines %s and %s" % (document, BEGIN, END))
    document.write_text(before + BEGIN + "\n\n" + markdown + "\n\n" + END + after)
