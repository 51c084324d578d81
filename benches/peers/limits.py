#!/usr/bin/env python3
"""limits.py STATE.db...: what the states weigh by themselves, with no store around them.

Of the first state `zstd -19` of the file; of every next one `zstd -19` of its new and changed rows and deleted keys as
JSON lines (rowdiff.py); with --tar also `tar | xz -9` of all files together. peers.py and series.py measure against them."""
import argparse
import json
import subprocess
from pathlib import Path

import rowdiff
from measure import Failed, output

ROW_LIMIT_SLACK = 8 << 10      # what a snapshot may add to the rows' own weight: its manifest, directory and pack


def of_states(states, kept_in=None):
    """-> [{"rows": n, "zstd19": bytes}] for the states in their order; kept in a file, because `zstd -19` takes minutes."""
    kept = json.loads(kept_in.read_text()) if kept_in and kept_in.exists() else {}
    found = []
    for before, state in zip([None] + list(states), states):
        # Deterministic states have the same name and length in every run of the same command.
        key = "%s %d %d" % (state.name, state.stat().st_size, before.stat().st_size if before else 0)
        if key not in kept:
            kept[key] = of_rows(before, state) if before else of_file(state)
            if kept_in:
                kept_in.write_text(json.dumps(kept, indent=1))
        found.append(kept[key])
    return found


def of_file(state):
    return {"rows": None, "zstd19": len(output(["zstd", "-q", "-19", "-c", state]))}


def of_rows(before, state):
    counts, data = rowdiff.difference(before, state)
    return {"rows": counts["new"] + counts["changed"] + counts["deleted"], "zstd19": rowdiff.zstd(data, 19)}


def tar_xz(states):
    """Bytes of `tar cf - STATES | xz -9 -T2`; times and owners are fixed, or xz would give another length every time."""
    folder, fixed = states[0].parent, ["--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]
    tar = subprocess.Popen(["tar", "-C", str(folder), *fixed, "-cf", "-"] + [s.name for s in states], stdout=subprocess.PIPE)
    xz = subprocess.Popen(["xz", "-9", "-T2", "-c"], stdin=tar.stdout, stdout=subprocess.PIPE)
    tar.stdout.close()
    total = 0
    while part := xz.stdout.read(1 << 20):
        total += len(part)
    if tar.wait() or xz.wait():
        raise Failed("tar | xz of %s failed" % folder)
    return total


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("states", nargs="+", type=Path)
    ap.add_argument("--tar", action="store_true")
    a = ap.parse_args()
    for state, limit in zip(a.states, of_states(a.states)):
        print("%-24s %10s rows %12d bytes" % (state.name, limit["rows"], limit["zstd19"]))
    if a.tar:
        print("tar | xz -9 of all: %d bytes" % tar_xz([s.resolve() for s in a.states]))


if __name__ == "__main__":
    main()
