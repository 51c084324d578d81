#!/usr/bin/env python3
"""growth.py LARDER DB...: back up the databases in this order into one new store, and say how it grows.

Each state is copied (with its -wal) to one path before it is read, as if an application had changed its file. After the
last, the same file is backed up again unchanged, and again after VACUUM. Compares with one `zstd -19` of the last state."""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile


def size(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(path) for f in fs)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    larder, states = os.path.abspath(sys.argv[1]), sys.argv[2:]
    with tempfile.TemporaryDirectory() as work:
        live, store = os.path.join(work, "app.db"), os.path.join(work, "store")
        env = dict(os.environ, LARDER_CACHE_DIR=os.path.join(work, "cache"))

        def backup(name):
            before = size(store) if os.path.exists(store) else 0
            subprocess.run([larder, "-s", store, "--no-progress", "-q", "backup", live], env=env, check=True, stdout=subprocess.DEVNULL)
            print("| %s | %d | %d |" % (name, os.path.getsize(live), size(store) - before))

        print("| state | database bytes | store grew by |\n|---|--:|--:|")
        total = 0
        for state in states:
            for end in ("", "-wal"):
                if os.path.exists(live + end):
                    os.remove(live + end)
                if os.path.exists(state + end):
                    shutil.copyfile(state + end, live + end)
            total += os.path.getsize(state)
            backup(os.path.basename(state))
        of_states = size(store)
        backup("again, unchanged")
        c = sqlite3.connect(live)
        c.execute("VACUUM")
        c.close()
        backup("again, after VACUUM")
        limit = len(subprocess.run(["zstd", "-19", "-q", "-c", states[-1]], check=True, stdout=subprocess.PIPE).stdout)
        print("\nstore of %d snapshots: %d bytes; databases together %d (x %.4f); zstd -19 of the last %d (x %.2f)" % (
            len(states), of_states, total, of_states / total, limit, of_states / limit))


if __name__ == "__main__":
    main()
