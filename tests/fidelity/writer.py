#!/usr/bin/env python3
"""writer.py DB MODE SEED: an application at work on a database of its own, until its standard input is closed.

MODE "idle": makes a WAL database with 51 rows, 50 of them in the -wal only, and keeps it open.
MODE "wal" or "delete": makes a database of about 24 MB in that journal mode; then every 2 ms a transaction that counts n up
in the first table and the last and stamps it on a row between them, so that a copy shows whether it is one moment.
Prints "ready"; for each line that it is sent, how many commits there were; at the end that, the longest one and how many
failed, as JSON."""
import json
import os
import random
import select
import sqlite3
import sys
import time

BULK_ROWS = 6000
PAUSE_S = 0.002
FIRST = 100         # commits before anybody is let in


def idle(db):
    db.execute("PRAGMA journal_mode=wal")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES(1, 'checkpointed')")
    db.execute("PRAGMA wal_checkpoint(truncate)").fetchall()
    for n in range(2, 52):
        db.execute("INSERT INTO t VALUES(?, 'only in the wal')", (n,))


def busy(db, mode, random_bytes):
    db.execute("PRAGMA journal_mode=" + mode)
    db.executescript("CREATE TABLE a(n); INSERT INTO a VALUES(0); CREATE TABLE bulk(id INTEGER PRIMARY KEY, stamp INT, b);"
                     "CREATE TABLE z(n); INSERT INTO z VALUES(0); BEGIN")
    db.executemany("INSERT INTO bulk VALUES(?, 0, ?)", ((n, random_bytes(4000)) for n in range(BULK_ROWS)))
    db.execute("COMMIT")


def commit(db, n, row):
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE a SET n = ?", (n,))
    db.execute("UPDATE bulk SET stamp = ? WHERE id = ?", (n, row))
    db.execute("UPDATE z SET n = ?", (n,))
    db.execute("COMMIT")


def main():
    path, mode, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    chance = random.Random(seed)
    db = sqlite3.connect(path, isolation_level=None, timeout=60)
    db.execute("PRAGMA synchronous=off")
    if mode == "idle":
        idle(db)
    else:
        busy(db, mode, chance.randbytes)
    print("ready", flush=True)
    n, longest_s, failed = 0, 0.0, 0
    while True:
        if n >= FIRST or mode == "idle":
            if select.select([sys.stdin], [], [], PAUSE_S)[0]:
                if not os.read(0, 100):
                    break
                print(n, flush=True)
        if mode == "idle":
            continue
        begun = time.monotonic()
        try:
            commit(db, n + 1, chance.randrange(BULK_ROWS))
            n += 1
        except sqlite3.OperationalError:
            failed += 1
            if db.in_transaction:
                db.execute("ROLLBACK")
        longest_s = max(longest_s, time.monotonic() - begun)
    rows = 0 if mode != "idle" else db.execute("SELECT count(*) FROM t").fetchone()[0]
    print(json.dumps({"commits": n, "longest_ms": round(longest_s * 1000), "failed": failed, "rows": rows}), flush=True)
    db.close()


if __name__ == "__main__":
    main()
