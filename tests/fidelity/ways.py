"""The ways of copying a database that are compared, each a backup and a restore: larder, what SQLite's shell and Python
offer, and `cp`. Every one gets the database at a path of its own, with its -wal and -journal, and nothing else is told."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIDE_FILES = ("-wal", "-journal")
# The shell waits for locks, as larder does by itself.
# In the lines: $db the database, $kept a folder for what the backup makes, $out the restored database.
LINES = {
    "larder": ('"$larder" -q --store "$kept/store" backup "$db"', '"$larder" -q --store "$kept/store" restore latest --to "$out"'),
    ".dump": ('"$sqlite3" -cmd ".timeout 5000" "$db" .dump > "$kept/dump.sql"', '"$sqlite3" "$out" < "$kept/dump.sql"'),
    ".backup": ('"$sqlite3" -cmd ".timeout 5000" "$db" ".backup \'$kept/copy.db\'"', 'cp "$kept/copy.db" "$out"'),
    "VACUUM INTO": ('"$sqlite3" -cmd ".timeout 5000" "$db" "VACUUM INTO \'$kept/copy.db\'"', 'cp "$kept/copy.db" "$out"'),
    "iterdump": ('"$python" "$here/by_iterdump.py" "$db" "$out"', "true"),
    "cp": ('cp "$db" "$kept/copy.db"', 'cp "$kept/copy.db" "$out"'),
}
WAYS = list(LINES)
TIME_UP = 124


@dataclass
class Visit:
    """What a way did with one database."""
    copy: Path | None               # the restored database, if there is one
    codes: tuple                    # exit codes of backup and restore
    said: str                       # what it wrote to stderr, without the paths of this run
    source_changes: list = field(default_factory=list)

    @property
    def told(self):
        """Whether it said that something is not as it should be."""
        return any(self.codes) or bool(self.said)


@dataclass
class Programs:
    larder: Path
    sqlite3: str

    def versions(self):
        def first(argv, words):
            text = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
            return " ".join(text.split()[:words])
        return {"larder": first([self.larder, "--version"], 2), "sqlite3": "sqlite3 " + first([self.sqlite3, "--version"], 1),
                "iterdump": first([sys.executable, HERE / "by_iterdump.py", "--version"], 4)}


def copy_database(database, to):
    """Copies a database with what belongs to it: opening can change all of it."""
    shutil.copyfile(database, to)
    for end in SIDE_FILES:
        if Path(str(database) + end).exists():
            shutil.copyfile(str(database) + end, str(to) + end)


def state_of(folder):
    """Name -> (owner, content) of every file in a folder."""
    return {path.name: (path.stat().st_uid, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())}


def changes(before, after):
    """What a visit left behind or changed, in words. The content of a -shm is nobody's business: it is rebuilt at need."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        part = next((end for end in ("-wal", "-shm", "-journal") if name.endswith(end)), "the database")
        if name not in after:
            found.append(part + " is gone")
        elif name not in before:
            owners = {owner for owner, _ in before.values()}
            found.append(part + (" is left behind" if after[name][0] in owners else " of another owner is left behind"))
        elif before[name][1] != after[name][1] and part != "-shm":
            found.append(part + " is changed")
    return found


def run(line, variables, limit_s):
    """-> exit code and stderr of a line of shell; TIME_UP if it did not end."""
    env = os.environ | {name: str(value) for name, value in variables.items()}
    child = subprocess.Popen(["bash", "-c", line], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, errors = child.communicate(timeout=limit_s)
        return child.returncode, errors.decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)     # its own session: the shell and what it started
        child.communicate()
        return TIME_UP, "no end after %d s\n" % limit_s


def visit(way, programs, database, scratch, limit_s=600, in_use=False):
    """Backs up the database at its place and restores it into a new file below scratch.

    Where the source is in use, what changes beside it is its application's doing, too: nothing is said of that."""
    scratch.mkdir(parents=True)
    kept = scratch / "kept"
    kept.mkdir()
    out = scratch / "restored.db"
    variables = {"db": database, "kept": kept, "out": out, "here": HERE, "python": sys.executable, "larder": programs.larder,
                 "sqlite3": programs.sqlite3, "HOME": scratch, "LARDER_CACHE_DIR": scratch / "cache", "TMPDIR": scratch}
    before = None if in_use else state_of(database.parent)
    backup, restore = LINES[way]
    codes, said = [], ""
    for line in (backup, restore):
        code, errors = run(line, variables, limit_s)
        codes.append(code)
        said += errors
        if code == TIME_UP:
            break
    for path in (scratch, database.parent, HERE, programs.larder.parent):
        said = said.replace(str(path) + "/", "")
    left = [] if in_use else changes(before, state_of(database.parent))
    return Visit(out if out.exists() else None, tuple(codes), said.strip(), left)


def message(visited):
    """The line of what it said that tells most: the first error, else the first line."""
    lines = [line.strip() for line in visited.said.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|Error|ERROR|warning", line)]
    text = (errors or lines or [""])[0]
    return text if len(text) <= 160 else text[:157] + "..."
