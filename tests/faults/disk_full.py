#!/usr/bin/env python3
"""disk_full.py: disks of every size, from 64 KiB in steps of 4 KiB, that get full. Needs root: each is a tmpfs.

  disk_full.py [--larder PROGRAM] [--seed N] [--sizes N]

On each disk: a first backup of a database of some 2 MiB; then, in a new store, backups of a database that grows, until one
does not fit. No exit code 0 without a snapshot that comes back; else 1, with what is full and what to do; the store lists,
validates and restores (to another disk) with 0 bytes free. Then it frees itself by forget and prune: with a ballast at once;
a store too small for one says what it needs, and does it when it has that. Last, the disks of the cache and of TMPDIR.
Exit: 0 all held; 1 one did not; 2 the run itself failed."""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workbench
from workbench import Broken, Larder

FIRST_KIB, STEP_KIB = 64, 4
# A store of so many bytes keeps a ballast.
BALLAST_FROM = 1 << 20
WHOLE_BALLAST = 32 << 10
GAINED_NOTHING = "stores where half of the snapshots held no more than forgetting them takes"
# What a clean-up needs where there is none: docs/scripting.md and the hint say so.
NEEDS = 64 << 10


class Disk:
    def __init__(self, folder, kib):
        self.folder, self.kib = folder, kib

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk" % self.kib, "tmpfs", self.folder], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.folder], check=True)

    def free(self):
        facts = os.statvfs(self.folder)
        return facts.f_bavail * facts.f_bsize

    def fill(self):
        """Leaves 0 bytes."""
        with open(self.folder / "filler", "ab", buffering=0) as filler:
            while self.free():
                filler.write(bytes(self.free()))

    def make_room(self, size):
        """So many bytes more than are used."""
        facts = os.statvfs(self.folder)
        used = (facts.f_blocks - facts.f_bfree) * facts.f_bsize
        subprocess.run(["mount", "-o", "remount,size=%d" % (used + size), self.folder], check=True)


def refused(code, err, what):
    """Exit code and message of a command that found no space."""
    if code != 1:
        raise Broken("%s: exit code %d\n%s" % (what, code, err))
    if "No space left" not in err or "larder prune" not in err:
        raise Broken("%s: the message does not name what is full, and what to do:\n%s" % (what, err))


def nothing_half_done(larder):
    for folder in ("tmp", "writers"):
        if (larder.store / folder).exists() and os.listdir(larder.store / folder):
            raise Broken("left in %s: %s" % (folder, os.listdir(larder.store / folder)))


def first_backup(larder, database, expected, counts):
    """One backup into an empty disk: all or nothing."""
    code, _, err = larder.run("backup", database, "--name", "first", "--quiet")
    if code == 0:
        workbench.check_whole(larder, {"first": expected})
        counts["first backups that fit"] += 1
        return
    refused(code, err, "the first backup")
    if (larder.store / "config").exists():
        nothing_half_done(larder)
        workbench.check_whole(larder, {})
    counts["first backups that did not"] += 1


def grow_until_full(larder, disk, database, rng, counts):
    """-> name -> digest of what was acknowledged"""
    acknowledged = {}
    for number in range(200):
        workbench.change(database, rng, rows=rng.choice((3, 20, 100)), bytes_each=rng.choice((100, 1000, 4000)))
        name = "n%d" % number
        code, _, err = larder.run("backup", database, "--name", name, "--quiet")
        if code == 0:
            acknowledged[name] = workbench.digest(database)
            continue
        refused(code, err, "a backup")
        counts["backups that did not fit"] += 1
        if (larder.store / "config").exists():
            nothing_half_done(larder)
            last = list(acknowledged)[-1:]
            counts["restores"] += workbench.check_whole(larder, acknowledged, restore=last)
        return acknowledged
    raise Broken("the disk never got full")


def clean_up(larder, disk, words, counts):
    """Runs what makes space, on a disk that has none. Without a ballast it may ask for some."""
    kept = size_of(larder.store / "ballast")
    code, _, err = larder.run(*words)
    if code == 0:
        return
    # A smaller one, for which alone there was room, is left to the prune.
    if kept >= WHOLE_BALLAST or kept and words[0] == "prune":
        raise Broken("%s, with a ballast: exit code %d\n%s" % (words, code, err))
    refused(code, err, words)
    if "64 KiB" not in err:
        raise Broken("%s: it is not said how much is needed\n%s" % (words, err))
    counts["clean-ups that asked for space"] += 1
    size = sum(p.stat().st_size for p in larder.store.rglob("*") if p.is_file())
    if size > BALLAST_FROM + (64 << 10):
        counts["of these in stores that should have a ballast"] += 1
    disk.make_room(NEEDS)
    larder.ok(*words)


def size_of(file):
    return file.stat().st_size if file.exists() else 0


def free_itself(larder, disk, acknowledged, rng, counts):
    """0 bytes free: forget and prune make room."""
    disk.fill()
    counts["restores"] += workbench.check_whole(larder, acknowledged, restore=list(acknowledged)[-1:])
    size = sum(p.stat().st_size for p in larder.store.rglob("*") if p.is_file())
    kept = larder.store / "ballast"
    ballast = size_of(kept)
    if not ballast and size > BALLAST_FROM + (64 << 10):
        # It had grown to 1 MiB only when its disk was nearly full.
        counts["stores that had no room for a ballast"] += 1
    going = list(acknowledged)[:max(1, len(acknowledged) // 2)]
    steps = (("forget", going[0], "--quiet"), ("prune", "--grace", "0", "--quiet"))
    for words in steps:
        clean_up(larder, disk, words, counts)
    acknowledged.pop(going[0])
    # The rest, as far as each forget has room: between two of them a prune makes more.
    left, room_made = going[1:], False
    while left:
        code, _, err = larder.run("forget", *left, "--quiet")
        if code:
            refused(code, err, "a forget of several snapshots")
            if "64 KiB" not in err:
                raise Broken("it is not said how much is needed\n%s" % err)
            counts["forgets in parts"] += 1
        clean_up(larder, disk, ("prune", "--grace", "0", "--quiet"), counts)
        before, left = left, sorted(set(left) & larder.names())
        if left == before:
            # Where there was no room for a whole ballast, what is forgotten may hold less than forgetting it takes.
            if ballast >= WHOLE_BALLAST or room_made:
                raise Broken("forget and prune do not get on: %s" % left)
            room_made = True
            counts["stores with less than a ballast that needed 64 KiB to go on"] += 1
            disk.make_room(NEEDS)
    for name in going[1:]:
        acknowledged.pop(name)
    if disk.free() == 0 and size_of(kept) < WHOLE_BALLAST:
        # Each snapshot that is forgotten leaves two small files for 90 days.
        counts[GAINED_NOTHING] += 1
    workbench.check_converged(larder)
    counts["restores"] += workbench.check_whole(larder, acknowledged)
    counts["freed with a ballast" if ballast else "freed without a ballast"] += 1


def one_size(program, base, kib, large, expected, rng, counts):
    scratch = base / "scratch"
    with Disk(base / "disk", kib) as disk:
        larder = Larder(program, disk.folder / "store", base / "cache", scratch)
        first_backup(larder, large, expected, counts)
    database = base / "small.db"
    database.unlink(missing_ok=True)
    workbench.create(database, rng, rows=40)
    with Disk(base / "disk", kib) as disk:
        larder = Larder(program, disk.folder / "store", base / "cache", scratch)
        acknowledged = grow_until_full(larder, disk, database, rng, counts)
        counts["backups that fit"] += len(acknowledged)
        if acknowledged:
            free_itself(larder, disk, acknowledged, rng, counts)
            workbench.change(database, rng, rows=1)
            code, _, err = larder.run("backup", database, "--name", "again", "--quiet")
            if code == 0:
                counts["backups after that"] += 1
            else:
                refused(code, err, "a backup after a clean-up")


def other_folder(program, base, kib, which, large, expected, counts):
    """The disk of the cache, or of TMPDIR, is full; that of the store is not."""
    shutil.rmtree(base / "store", ignore_errors=True)
    small = base / "small.db"
    with Disk(base / "disk", kib) as disk:
        (disk.folder / which).mkdir()
        fine = Larder(program, base / "store", base / "cache", base / "scratch")
        fine.backup(small, "one")
        disk.fill()
        disk.make_room((kib - FIRST_KIB) << 10)
        folders = {"cache": base / "cache", "tmp": base / "scratch", which: disk.folder / which}
        larder = Larder(program, base / "store", folders["cache"], base / "scratch")
        larder.environment["TMPDIR"] = str(folders["tmp"])
        acknowledged = {"one": workbench.digest(small)}
        done = [("backup", large, "--name", "two", "--quiet"), ("list",), ("stats",), ("validate",),
                ("restore", "one", "--to", base / "scratch/out.db"), ("forget", "one"), ("prune", "--grace", "0")]
        for words in done:
            code, _, err = larder.run(*words)
            if code == 0:
                counts["%s full, done all the same" % which] += 1
                if words[0] == "backup":
                    acknowledged["two"] = expected
                if words[0] == "forget":
                    del acknowledged["one"]
            else:
                if code != 1 or str(disk.folder / which) not in err:
                    raise Broken("%s full, %s: exit code %d, and the folder is not named\n%s" % (which, words, code, err))
                counts["%s full, said so" % which] += 1
            (base / "scratch/out.db").unlink(missing_ok=True)
        fine.ok("prune", "--grace", "0", "--quiet")
        workbench.check_converged(fine)
        counts["restores"] += workbench.check_whole(fine, acknowledged, {"one": None, "two": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--larder")
    parser.add_argument("--seed", type=int, default=workbench.seed_from_environment())
    parser.add_argument("--sizes", type=int, default=520)
    parser.add_argument("--every", type=int, default=1, help="only every Nth size")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("this needs root: it mounts disks")
    program = workbench.program_of(arguments.larder)
    begun, failures, counts = time.monotonic(), 0, collections.Counter()
    with tempfile.TemporaryDirectory(prefix="larder-full-") as folder:
        base, rng = Path(folder), random.Random(arguments.seed)
        (base / "scratch").mkdir()
        large = base / "large.db"
        workbench.create(large, rng, rows=10)
        workbench.change(large, rng, rows=240, bytes_each=8000)
        expected = workbench.digest(large)
        sizes = [FIRST_KIB + STEP_KIB * n for n in range(arguments.sizes)][::arguments.every]
        cases = [(kib, one_size, (rng, counts)) for kib in sizes]
        for which in ("cache", "tmp"):
            cases += [(kib, other_folder, (which, counts)) for kib in sizes[:64]]
        for kib, work, more in cases:
            try:
                if work is one_size:
                    work(program, base, kib, large, expected, *more)
                else:
                    work(program, base, kib, more[0], large, expected, more[1])
                counts["disks"] += 1
            except Broken as error:
                failures += 1
                print("FAILED: %s, %d KiB, seed %d: %s" % (work.__name__, kib, arguments.seed, error), flush=True)
                if failures > 20:
                    break
    if counts[GAINED_NOTHING] * 20 > counts["disks"]:
        failures += 1
        print("FAILED: %d %s" % (counts[GAINED_NOTHING], GAINED_NOTHING))
    for name in sorted(counts):
        print("  %-36s %d" % (name, counts[name]))
    print("seed %d: %d disks of %d to %d KiB, %d failures, %.0f s" % (
        arguments.seed, counts["disks"], sizes[0], sizes[-1], failures, time.monotonic() - begun))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
