"""What the suites of this folder share: a database that changes, runs of the program, and what must hold of a store
after anything that may have happened to it. Judges by SQLite alone; shares no code with larder."""
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# No step of these suites has a reason to take so long; a prune that waits for a dead writer takes 30 minutes.
LIMIT_S = 120


class Broken(Exception):
    """A promise that was not kept."""


def seed_from_environment():
    return int(os.environ.get("LARDER_TEST_SEED", "1"))


def digest(database):
    """Of all that SQL shows of a database: schema texts and every value with its storage class."""
    db = sqlite3.connect("file:%s?mode=ro" % database, uri=True)
    db.text_factory = bytes
    out = hashlib.sha256()
    try:
        schema = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        out.update(repr(schema).encode())
        for kind, name, _, _ in schema:
            if kind == b"table":
                for row in db.execute('SELECT rowid, * FROM "%s" ORDER BY rowid' % name.decode()):
                    out.update(repr(row).encode())
    finally:
        db.close()
    return out.hexdigest()


def create(database, rng, rows=120):
    db = sqlite3.connect(database)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT, note BLOB)")
    db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, customer REFERENCES customers(id), total REAL)")
    for i in range(rows):
        db.execute("INSERT INTO customers VALUES(?,?,?)", (i, "name %d" % i, rng.randbytes(60)))
        db.execute("INSERT INTO orders VALUES(?,?,?)", (i, i, rng.random()))
    db.commit()
    db.close()


def change(database, rng, rows=12, bytes_each=60):
    """Some rows changed, some new, some gone."""
    db = sqlite3.connect(database)
    db.execute("PRAGMA synchronous=OFF")
    last = db.execute("SELECT coalesce(max(id), 0) FROM customers").fetchone()[0]
    for i in range(rows):
        db.execute("UPDATE customers SET note=? WHERE id=?", (rng.randbytes(bytes_each), rng.randrange(last + 1)))
        db.execute("INSERT INTO customers VALUES(?,?,?)", (last + 1 + i, "new", rng.randbytes(bytes_each)))
        db.execute("DELETE FROM orders WHERE id=?", (rng.randrange(last + 1),))
    db.commit()
    db.close()


class Larder:
    """The program, with a store, a cache and a folder for temporary files."""

    def __init__(self, program, store, cache, scratch):
        self.program, self.store, self.scratch = str(program), Path(store), Path(scratch)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("LARDER_")}
        self.environment.update(LARDER_CACHE_DIR=str(cache), LARDER_STORE=str(store), TMPDIR=str(scratch))

    def start(self, *words, before=(), **more):
        return subprocess.Popen([*before, self.program, *map(str, words)], env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def run(self, *words, before=(), **more):
        """-> exit code, stdout, stderr. A panic and a wait without end are broken promises whatever else is asked."""
        child = self.start(*words, before=before, **more)
        try:
            out, err = child.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            raise Broken("%s still ran after %d s\n%s" % (words, LIMIT_S, child.communicate()[1]))
        if child.returncode == 101 or "panicked" in err:
            raise Broken("%s panicked\n%s" % (words, err))
        return child.returncode, out, err

    def ok(self, *words):
        code, out, err = self.run(*words)
        if code != 0:
            raise Broken("%s: exit code %d\n%s%s" % (words, code, out, err))
        return out

    def backup(self, database, name, *words):
        self.ok("backup", database, "--name", name, "--quiet", *words)

    def names(self):
        return {one["name"] for one in json.loads(self.ok("list", "--json"))["snapshots"]}

    def restored(self, name):
        """The digest of a snapshot that was restored."""
        target = self.scratch / "restored.db"
        target.unlink(missing_ok=True)
        self.ok("restore", name, "--to", target, "--quiet")
        found = digest(target)
        target.unlink()
        return found


def check_whole(larder, acknowledged, may_exist=(), restore=None):
    """`list` shows every acknowledged snapshot (name -> digest) and none that nobody began; `validate` is clean; those
    to be restored (all, if not said) come back exactly. -> how many were restored."""
    names = larder.names()
    missing = set(acknowledged) - names
    if missing:
        raise Broken("acknowledged, and gone: %s" % sorted(missing))
    strangers = names - set(acknowledged) - set(may_exist)
    if strangers:
        raise Broken("nobody made: %s" % sorted(strangers))
    code, out, err = larder.run("validate")
    if code != 0:
        raise Broken("validate: exit code %d\n%s%s" % (code, out, err))
    wanted = acknowledged if restore is None else restore
    for name in wanted:
        if larder.restored(name) != acknowledged[name]:
            raise Broken("%s came back different" % name)
    # What was not acknowledged and is there all the same must be whole too.
    for name in names & set(may_exist) - set(acknowledged):
        expected = dict(may_exist)[name]
        if expected is not None and larder.restored(name) != expected:
            raise Broken("%s is visible, and came back different" % name)
    return len(wanted)


def check_converged(larder):
    """After a prune: no record of a writer or a clean-up is left, nothing is being written, and a second prune finds
    nothing to do."""
    for folder in ("writers", "tmp"):
        left = os.listdir(larder.store / folder) if (larder.store / folder).exists() else []
        if left:
            raise Broken("after a prune there is in %s: %s" % (folder, left))
    gc = larder.store / "gc"
    records = [n for n in os.listdir(gc) if not n.endswith(".final")] if gc.exists() else []
    if records:
        raise Broken("after a prune there is in gc: %s" % records)
    plan = json.loads(larder.ok("prune", "--grace", "0", "-n", "--json", "--max-unused", "100"))
    if plan["packs"]["dead"]["count"] or plan["resolved"]:
        raise Broken("a second prune has work to do: %s" % plan)


def copy_tree(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)


def program_of(argument):
    path = Path(argument or ROOT / "target/release/larder").resolve()
    if not path.exists():
        sys.exit("there is no %s; build it with: cargo build --release" % path)
    return path
