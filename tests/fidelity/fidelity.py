#!/usr/bin/env python3
"""fidelity.py: every database through larder and through what else there is; prints who brought back what.

  fidelity.py [--data FOLDER] [--seed N] [--larder PROGRAM] [--json FILE] [--markdown] [--into docs/fidelity.md]

The databases are those of tests/tools/torture.py, made anew from the seed, and every one below --data [LARDER_TEST_DATA].
Each is copied with its -wal or -journal, backed up and restored by every way (ways.py), and compared with a copy that
nobody has touched (tests/tools/dbdiff.py). Then each goes to work on databases in use (live.py).
Exit: 0 larder's copies are equal; 1 one is not; 2 the run itself failed. What the others do never fails it.
Needs a Python with apsw (LARDER_TEST_PYTHON), and the shell of SQLite."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import live
import table
import verdict
import ways

ROOT = ways.HERE.parents[1]
# database -> why larder's copy need not be equal. Each stands in docs/fidelity.md, too.
EXCEPTIONS = {}
# Whose user the sources belong to, where the run may say so: a visit by root must not leave files of root.
OTHER_OWNER = 65534


def torture_databases(seed, size, folder):
    """-> [(name, path)], lines of CASES.tsv"""
    argv = [sys.executable, cases.TOOLS / "torture.py", folder, "--seed", str(seed), "--size", size]
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    found = [(path.name, path) for path in sorted((folder / "main.d").iterdir()) if path.suffix in (".db", ".bin")]
    return [("main.db", folder / "main.db")] + found, cases.listed(folder / "main.d/CASES.tsv")


def real_databases(folder):
    """-> [(name, path)] of all databases below a folder"""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".db", ".gpkg", ".sqlite") and p.is_file())
    return [(str(path.relative_to(folder)), path) for path in paths]


def one(database, way, programs, scratch):
    """Puts a database into a folder of its own, sends a way there and judges what comes back."""
    source, pristine = scratch / "source", scratch / "pristine"
    for folder in (source, pristine):
        folder.mkdir(parents=True)
        ways.copy_database(database, folder / database.name)
    if os.geteuid() == 0:
        for path in (source, *source.iterdir()):
            os.chown(path, OTHER_OWNER, OTHER_OWNER)
    is_database = database.suffix != ".bin"
    visited = ways.visit(way, programs, source / database.name, scratch / "work")
    original = cases.Original(pristine / database.name) if is_database else None
    found = verdict.of_copy(pristine / database.name, original, visited, is_database)
    shutil.rmtree(scratch)
    return found


def all_of(databases, chosen, programs, scratch):
    """name -> way -> verdict"""
    found = {}
    for name, path in databases:
        for way in chosen:
            print("  %s: %s" % (name, way), file=sys.stderr, flush=True)
            found.setdefault(name, {})[way] = one(path, way, programs, scratch / "one")
    return found


def about(a, programs):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE).stdout.decode().strip()
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "seed": a.seed, "size": a.size, "commit": commit,
            "versions": programs.versions()}


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=os.environ.get("LARDER_TEST_DATA"), help="folder of real databases")
    ap.add_argument("--seed", type=int, default=1, help="of torture.py [default: 1]")
    ap.add_argument("--size", choices=("small", "medium"), default="small", help="of torture.py [default: small]")
    ap.add_argument("--larder", type=Path, default=ROOT / "target/release/larder")
    ap.add_argument("--sqlite3", default=shutil.which("sqlite3"), help="the shell of SQLite")
    ap.add_argument("--ways", default=",".join(ways.WAYS), help="default: %(default)s")
    ap.add_argument("--only", metavar="WORD", help="only databases whose names contain it, and no live ones")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    ap.add_argument("--markdown", action="store_true", help="print Markdown in place of text")
    ap.add_argument("--into", type=Path, metavar="FILE", help="put the Markdown between the marks of a document")
    a = ap.parse_args()
    a.chosen = a.ways.split(",")
    unknown = [way for way in a.chosen if way not in ways.WAYS]
    if unknown:
        ap.error("no way %s; there are: %s" % (", ".join(unknown), ", ".join(ways.WAYS)))
    if not a.larder.exists():
        ap.error("%s is missing: cargo build --release" % a.larder)
    if not a.sqlite3 and set(a.chosen) & {".dump", ".backup", "VACUUM INTO"}:
        ap.error("sqlite3 is missing")
    a.larder = a.larder.resolve()
    return a


def main():
    a = arguments()
    programs = ways.Programs(a.larder, a.sqlite3)
    with tempfile.TemporaryDirectory(prefix="fidelity-") as name:
        os.chmod(name, 0o755)
        scratch = Path(name)
        made, lines = torture_databases(a.seed, a.size, scratch / "torture")
        real = real_databases(Path(a.data)) if a.data else []
        if not real:
            print("not run: real databases, because LARDER_TEST_DATA is not set", file=sys.stderr)
        wanted = [[d for d in group if not a.only or a.only in d[0]] for group in (made, real)]
        of_torture, of_real = (all_of(group, a.chosen, programs, scratch) for group in wanted)
        found = table.Found(about(a, programs), a.chosen, of_torture, of_real, lines,
                            {} if a.only else live.run(programs, a.chosen, a.seed, scratch), EXCEPTIONS)
    if a.json:
        a.json.write_text(json.dumps(found.data(), indent=1) + "\n")
    if a.into:
        table.put_into(a.into, found.markdown())
    print(found.markdown() if a.markdown else found.text())
    failures = found.failures()
    for line in failures:
        print("FAILED larder: " + line)
    return 1 if failures or (os.environ.get("CI") == "true" and not real) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, subprocess.SubprocessError) as e:
        print("fidelity: %s" % e, file=sys.stderr)
        sys.exit(2)
