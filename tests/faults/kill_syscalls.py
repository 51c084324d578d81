#!/usr/bin/env python3
"""kill_syscalls.py: SIGKILL on the way into every system call of a backup, a forget and a prune.

  kill_syscalls.py [--larder PROGRAM] [--seed N] [--jobs N] [--scene NAME] [--only SYSCALL] [--every N]

A scene is a store, a cache and a command. A run of it under strace says which system calls there are; then it runs once for
each of them, from the same store, and is killed there. After each kill: every acknowledged snapshot is listed and comes
back exactly, `validate` is clean, and the next backup and prune end at once and leave nothing behind.
Exit: 0 all held; 1 one did not; 2 the run itself failed. Needs strace; not root."""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workbench
from workbench import Broken, Larder

CALL = re.compile(r"^(?:\d+ +)?([a-z0-9_]+)\(")
# Before the program's own code runs there is nothing to kill.
NOT_KILLED = {"execve"}
PRUNE = ("prune", "--grace", "0", "--max-unused", "0", "--quiet")


class Scene:
    """A prepared place, and the command that is killed in it."""

    def __init__(self, name, folder, words, acknowledged, pending=None, going=()):
        self.name, self.folder, self.words = name, folder, words
        # name -> digest: what must come back; what may be there besides; what may be there or not.
        self.acknowledged, self.pending, self.going = acknowledged, pending or {}, dict(going)


def place(program, folder):
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return Larder(program, folder / "store", folder / "cache", scratch)


def killed(larder, folder, words, call, nth):
    """Runs a command that is killed on the way into the nth call of a name. -> exit code, as a shell has it"""
    before = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=%s" % call,
              "-e", "inject=%s:signal=SIGKILL:when=%d" % (call, nth))
    code, _, err = larder.run(*words, before=before, cwd=folder)
    return code, err


def calls_of(larder, folder, words):
    trace = folder / "trace"
    code, out, err = larder.run(*words, before=("strace", "-f", "-qq", "-o", str(trace)), cwd=folder)
    if code != 0:
        raise Broken("%s, not killed: %d\n%s%s" % (words, code, out, err))
    counts = collections.Counter()
    for line in trace.read_text(errors="replace").splitlines():
        found = CALL.match(line)
        if found and found[1] not in NOT_KILLED:
            counts[found[1]] += 1
    return counts


def scenes(program, base, seed):
    """Yields the scenes. Each is told apart by what was done before."""
    rng = random.Random(seed)
    main = base / "main"
    main.mkdir()
    larder = place(program, main)
    database = main / "a.db"
    workbench.create(database, rng)
    states = {}

    def snap(name):
        larder.backup(database, name)
        states[name] = workbench.digest(database)

    def keep(name):
        workbench.copy_tree(main, base / name)
        return base / name

    backup = ("backup", "a.db", "--name", "new", "--quiet")
    now = workbench.digest(database)
    yield Scene("first backup", keep("first"), backup, {}, {"new": now})
    snap("one")
    workbench.change(database, rng)
    now = workbench.digest(database)
    yield Scene("next backup", keep("next"), backup, dict(states), {"new": now})
    for name in ("two", "three", "four"):
        snap(name)
        workbench.change(database, rng)
    forget = ("forget", "one", "two", "--quiet")
    kept = {name: states[name] for name in ("three", "four")}
    going = [(name, states[name]) for name in ("one", "two")]
    yield Scene("forget", keep("forget"), forget, kept, going=going)
    larder.ok(*forget)
    # A backup that was killed when it had written its packs: a record of a dead writer, and a pack of nobody.
    code, err = killed(larder, main, backup, "renameat2", 3)
    if code not in (-9, 137) or not os.listdir(main / "store/writers"):
        raise Broken("no dead writer: %d %s" % (code, err))
    yield Scene("prune", keep("prune"), PRUNE, kept, going=going)
    # And a prune that was killed when its list was sealed, but nothing deleted.
    trial = keep("trial")
    calls = calls_of(place(program, trial), trial, PRUNE)
    for nth in range(calls["unlinkat"] + calls["unlink"], 0, -1):
        sealed = keep("sealed")
        killed(place(program, sealed), sealed, PRUNE, "unlink,unlinkat", nth)
        names = os.listdir(sealed / "store/gc")
        packs = sum(len(f) for _, _, f in os.walk(sealed / "store/packs"))
        before = sum(len(f) for _, _, f in os.walk(main / "store/packs"))
        if len(names) == 2 and packs >= before:
            break
    else:
        raise Broken("no prune could be cut off behind its seal")
    yield Scene("prune that ends another", sealed, PRUNE, kept, going=going)


def one(program, scene, work, call, nth, number):
    """One kill and what must hold afterwards. -> (was killed, snapshots restored)"""
    workbench.copy_tree(scene.folder, work)
    larder = place(program, work)
    code, err = killed(larder, work, scene.words, call, nth)
    if code not in (-9, 137, 0):
        raise Broken("exit code %d\n%s" % (code, err))
    acknowledged, pending = dict(scene.acknowledged), {**scene.pending, **scene.going}
    if code == 0 and scene.pending:
        acknowledged.update(scene.pending)
    restored = 0
    if (work / "store/config").exists():
        restored = workbench.check_whole(larder, acknowledged, pending)
        extra = {name: pending[name] for name in larder.names() if name in pending}
        acknowledged.update({n: d for n, d in extra.items() if d is not None})
    elif acknowledged:
        raise Broken("there is no store any more")
    # The next backup and prune.
    workbench.change(work / "a.db", random.Random(number))
    larder.backup("%s" % (work / "a.db"), "after")
    acknowledged["after"] = workbench.digest(work / "a.db")
    for name in set(scene.going) & larder.names():
        larder.ok("forget", name, "--quiet")
        acknowledged.pop(name, None)
    begun = time.monotonic()
    larder.ok(*PRUNE)
    if time.monotonic() - begun > 60:
        raise Broken("the next prune took %.0f s" % (time.monotonic() - begun))
    workbench.check_converged(larder)
    acknowledged = {n: d for n, d in acknowledged.items() if n not in scene.going}
    restored += workbench.check_whole(larder, acknowledged)
    return code != 0, restored


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--larder")
    parser.add_argument("--seed", type=int, default=workbench.seed_from_environment())
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--scene", help="only scenes whose name begins so")
    parser.add_argument("--only", help="only this system call")
    parser.add_argument("--every", type=int, default=1, help="only every Nth kill")
    arguments = parser.parse_args()
    if not shutil.which("strace"):
        sys.exit("there is no strace")
    program = workbench.program_of(arguments.larder)
    begun, failures, totals = time.monotonic(), 0, collections.Counter()
    with tempfile.TemporaryDirectory(prefix="larder-kill-") as folder, \
            concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        base = Path(folder)
        free = [base / ("work%d" % i) for i in range(arguments.jobs)]
        for scene in scenes(program, base, arguments.seed):
            if arguments.scene and not scene.name.startswith(arguments.scene):
                continue
            trial = base / "count"
            workbench.copy_tree(scene.folder, trial)
            calls = calls_of(place(program, trial), trial, scene.words)
            cases = [(call, nth) for call in sorted(calls) for nth in range(1, calls[call] + 1)
                     if arguments.only in (None, call)][::arguments.every]

            def run(case):
                work = free.pop()
                try:
                    return one(program, scene, work, *case, cases.index(case))
                finally:
                    free.append(work)

            counts = collections.Counter()
            for case, future in [(case, pool.submit(run, case)) for case in cases]:
                try:
                    was_killed, restored = future.result()
                    counts["killed" if was_killed else "not reached"] += 1
                    counts["restores"] += restored
                except Broken as error:
                    failures += 1
                    print("FAILED: %s, killed at %s %d (seed %d): %s" % (scene.name, *case, arguments.seed, error), flush=True)
            totals.update(counts)
            print("%s: %d kinds of system calls, %d kills, %d calls not reached, %d restores, %.0f s" % (
                scene.name, len(calls), counts["killed"], counts["not reached"], counts["restores"],
                time.monotonic() - begun), flush=True)
    print("seed %d: %d kills, %d calls not reached, %d snapshots restored and compared, %d failures, %.0f s" % (
        arguments.seed, totals["killed"], totals["not reached"], totals["restores"], failures, time.monotonic() - begun))
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as error:
        print("could not be set up: %s" % error)
        sys.exit(2)
