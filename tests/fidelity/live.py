"""What the ways make of a database that is in use: one with commits in the WAL only, and one that is written all the time."""
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import ways

LIMIT_S = 30
# name -> (mode of writer.py, the checklist's cases that it shows)
SCENES = {
    "commits only in the WAL, a connection open": ("idle", "1"),
    "a transaction every 2 ms, WAL": ("wal", "1, 5, 6, 8"),
    "a transaction every 2 ms, rollback journal": ("delete", "5, 7, 8"),
}


@contextmanager
def application(database, mode, seed):
    """A writer at work; what it says at the end is put into the dictionary, and "begun": its commits before the visit."""
    result = {}
    child = subprocess.Popen([sys.executable, ways.HERE / "writer.py", database, mode, str(seed)], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        child.stdin.write("how many?\n")
        child.stdin.flush()
        result["begun"] = int(child.stdout.readline())
        yield result
        child.stdin.close()
        result.update(json.loads(child.stdout.readline()))
        child.wait(timeout=120)
    finally:
        child.kill()
        child.wait()


def is_one_moment(copy, mode, begun, last):
    """"" if the copy is a state that was committed during the visit, else what is wrong with it."""
    db = sqlite3.connect(copy)
    try:
        told = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if told != "ok":
            return "integrity_check: " + " ".join(told.split())[:100]
        if mode == "idle":
            rows = db.execute("SELECT count(*) FROM t").fetchone()[0]
            return "" if rows == 51 else "%d of 51 rows" % rows
        first, between, after = (db.execute(sql).fetchone()[0] for sql in
                                 ("SELECT n FROM a", "SELECT max(stamp) FROM bulk", "SELECT n FROM z"))
        if not first == between == after:
            return "tables of different moments"
        return "" if begun <= first <= last else "without the last %d commits before it" % (begun - first)
    except sqlite3.Error as e:
        return "unreadable: %s" % e
    finally:
        db.close()


def watch(way, programs, mode, seed, scratch):
    """One way in one scene -> its row."""
    folder = scratch / "source"
    folder.mkdir(parents=True)
    database = folder / "app.db"
    with application(database, mode, seed) as work:
        visited = ways.visit(way, programs, database, scratch / "work", LIMIT_S, in_use=True)
    if visited.copy is None or visited.codes[0]:
        wrong, state = ways.message(visited) or "no copy", "fails"
    else:
        wrong = is_one_moment(visited.copy, mode, work["begun"], work["commits"])
        state = "differs" if wrong else "equal"
    shutil.rmtree(scratch)
    return {"state": state, "why": wrong, "longest_ms": work["longest_ms"], "failed_writes": work["failed"]}


def run(programs, chosen, seed, scratch):
    """scene -> way -> row"""
    found = {}
    for scene, (mode, _) in SCENES.items():
        for way in chosen:
            print("  %s: %s" % (scene, way), file=sys.stderr, flush=True)
            found.setdefault(scene, {})[way] = watch(way, programs, mode, seed, scratch / "live")
    return found
