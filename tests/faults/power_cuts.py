#!/usr/bin/env python3
"""power_cuts.py: a real file system that loses power while larder works in it, again and again. Needs root.

  power_cuts.py [--larder PROGRAM] [--seed N] [--cycles N] [--fs ext4,xfs] [--image FOLDER]

An image with ext4 or XFS is mounted by a loop device. A cycle runs a backup, a forget or a prune in it, shuts the file system
down at a random time without writing its log (the ioctl FS_IOC_SHUTDOWN, "no log flush": what a power cut leaves), mounts it
again, and looks: every acknowledged snapshot is listed and comes back, `validate` is clean. The store goes on through all
cycles, so that each is also the "next backup" and the "next prune" of those before. Every 20th cycle ends with a prune
that must leave nothing behind, and all snapshots are restored.
Exit: 0 all held; 1 one did not; 2 the run itself failed."""
import argparse
import collections
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workbench
from workbench import Broken, Larder

SHUTDOWN = 0x8004587D           # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
# Bytes of an image: the least that mkfs.xfs makes is 300 MiB.
IMAGES = {"ext4": (64 << 20, ("mkfs.ext4", "-q", "-F")), "xfs": (304 << 20, ("mkfs.xfs", "-q", "-f"))}
KEPT = 6                        # snapshots that are not forgotten, about


def mount(image, folder):
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)


def unmount(folder):
    for _ in range(50):
        if subprocess.run(["umount", folder], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.05)
    subprocess.run(["umount", folder], check=True)


def cut(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    finally:
        os.close(handle)


class Disk:
    """One file system, its store, and what was acknowledged."""

    def __init__(self, program, kind, folder, rng):
        self.rng, self.kind, self.folder = rng, kind, folder
        folder.mkdir()
        self.image, self.root = folder / "image", folder / "disk"
        self.root.mkdir()
        size, mkfs = IMAGES[kind]
        with open(self.image, "wb") as image:
            image.truncate(size)
        subprocess.run([*mkfs, self.image], check=True)
        (folder / "scratch").mkdir()
        self.database = folder / "a.db"
        workbench.create(self.database, rng)
        # The cache in a place that keeps what the store has lost, and in one that loses as well.
        self.larders = [Larder(program, self.root / "store", cache, folder / "scratch")
                        for cache in (folder / "cache", self.root / "cache")]
        self.acknowledged = {}          # name -> digest
        self.doubtful = {}              # may be there, whole, or not: begun, never acknowledged
        self.counts = collections.Counter()
        self.times = {"backup": 0.05, "forget": 0.02, "prune": 0.05}
        self.number = 0

    def command(self):
        """-> kind, words, name of what it makes or forgets"""
        self.number += 1
        names = list(self.acknowledged)
        kind = self.rng.choices(("backup", "forget", "prune"), (5, 2 if len(names) > 2 else 0, 3))[0]
        if kind == "backup" or len(names) > 2 * KEPT and kind == "prune":
            kind = "backup" if len(names) <= 2 * KEPT else "forget"
        if kind == "backup":
            name = "n%d" % self.number
            workbench.change(self.database, self.rng, rows=self.rng.choice((1, 10, 60)))
            return kind, ("backup", str(self.database), "--name", name, "--quiet"), [name]
        if kind == "forget":
            going = self.rng.sample(names, max(1, len(names) - KEPT))
            return kind, ("forget", *going, "--quiet"), going
        return kind, ("prune", "--grace", "0", "--quiet", "--max-unused", self.rng.choice(("0", "5", "50"))), []

    def cycle(self):
        larder = self.rng.choice(self.larders)
        mount(self.image, self.root)
        kind, words, names = self.command()
        if kind == "backup":
            self.doubtful[names[0]] = workbench.digest(self.database)
        if kind == "forget":
            for name in names:
                self.doubtful[name] = self.acknowledged.pop(name)
        child = larder.start(*words)
        begun = time.monotonic()
        # A fifth of the cuts fall right behind the end: what was acknowledged just now must be there.
        at_end = self.rng.random() < 0.2
        if at_end:
            child.wait(timeout=workbench.LIMIT_S)
        else:
            time.sleep(self.rng.random() * self.times[kind])
        cut(self.root)
        _, err = child.communicate(timeout=workbench.LIMIT_S)
        code = child.returncode
        if code == 101 or "panicked" in err:
            raise Broken("%s panicked\n%s" % (words, err))
        if at_end and code != 0:
            raise Broken("%s: exit code %d with nothing in its way\n%s" % (words, code, err))
        if at_end:
            self.times[kind] = 0.8 * self.times[kind] + 0.2 * (time.monotonic() - begun)
        self.counts["between" if code == 0 else kind] += 1
        if code == 0 and kind == "backup":
            self.acknowledged[names[0]] = self.doubtful.pop(names[0])
        unmount(self.root)
        mount(self.image, self.root)
        try:
            self.look(larder, kind, code, names)
        finally:
            unmount(self.root)

    def look(self, larder, kind, code, names):
        if not (self.root / "store/config").exists():
            if self.acknowledged:
                raise Broken("there is no store any more")
            self.doubtful.clear()
            return
        there = larder.names()
        if code == 0 and kind == "forget" and there & set(names):
            raise Broken("forgotten, and there again: %s" % (there & set(names)))
        some = self.rng.sample(sorted(self.acknowledged), min(1, len(self.acknowledged)))
        full = self.number % 20 == 0
        self.counts["restores"] += workbench.check_whole(
            larder, self.acknowledged, self.doubtful, None if full else some)
        # What is there now stays: it is durable, for it was read after the cut.
        for name in list(self.doubtful):
            digest = self.doubtful.pop(name)
            if name in there:
                self.acknowledged[name] = digest
        if full:
            larder.ok("prune", "--grace", "0", "--quiet")
            workbench.check_converged(larder)
            workbench.check_whole(larder, self.acknowledged, restore=())
            self.counts["prunes that left nothing behind"] += 1


def run(program, kind, base, seed, cycles):
    rng = random.Random("%d %s" % (seed, kind))
    disk = Disk(program, kind, base / kind, rng)
    begun, failures = time.monotonic(), 0
    for number in range(cycles):
        try:
            disk.cycle()
        except KeyboardInterrupt:
            print("stopped", flush=True)
            break
        except Broken as error:
            failures += 1
            print("FAILED: %s, cycle %d, seed %d: %s" % (kind, number, seed, error), flush=True)
            if failures > 5:
                break
        if (number + 1) % 250 == 0:
            print("  %s: %d cycles, %.0f s" % (kind, number + 1, time.monotonic() - begun), flush=True)
    counts = disk.counts
    print("%s: seed %d, %d power cuts: %d in a backup, %d in a forget, %d in a prune, %d between; %d snapshots restored, "
          "%d prunes that left nothing behind, %d failures, %.0f s" % (
              kind, seed, sum(counts[k] for k in ("backup", "forget", "prune", "between")), counts["backup"],
              counts["forget"], counts["prune"], counts["between"], counts["restores"],
              counts["prunes that left nothing behind"], failures, time.monotonic() - begun), flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--larder")
    parser.add_argument("--seed", type=int, default=workbench.seed_from_environment())
    parser.add_argument("--cycles", type=int, default=1000, help="on each file system")
    parser.add_argument("--fs", default=",".join(kind for kind in IMAGES if shutil.which(IMAGES[kind][1][0])))
    parser.add_argument("--image", default="/dev/shm", help="a folder in memory")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("this needs root: it mounts file systems")
    if "LARDER_OWN_MOUNTS" not in os.environ:
        # Out of sight of others: a mount that somebody else's namespace has copied outlives its umount.
        os.environ["LARDER_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
    program = workbench.program_of(arguments.larder)
    with tempfile.TemporaryDirectory(prefix="larder-power-", dir=arguments.image) as folder:
        base = Path(folder)
        try:
            failures = sum(run(program, kind, base, arguments.seed, arguments.cycles)
                           for kind in arguments.fs.split(","))
        finally:
            for kind in arguments.fs.split(","):
                subprocess.run(["umount", base / kind / "disk"], stderr=subprocess.DEVNULL)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
