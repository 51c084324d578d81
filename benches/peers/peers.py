#!/usr/bin/env python3
"""peers.py: larder and its peers at the same work, in turns; prints the tables of docs/benchmarks.md.

  peers.py run --db DB --work DIR --kinds first,update1pct,day     the states are made from DB (gen_shop.py) by mutate_shop.py;
                                  --kinds 'day*30'                 thirty days
  peers.py run --series FOLDER --work DIR                          the states are the databases of a folder, by their names
  peers.py table --work DIR                                        Markdown of what was measured, whole or in part

Of every state all tools back up the same file from the same path, one after another, before the next state is put in
place; then all restore the newest state, which is compared with the source; then all verify what they hold.
Bytes are what the tool's repository grew by; wall, CPU and peak are medians of --reps whole rounds. Everything is kept in
DIR/LABEL.json, with every single run. A tool whose program is missing is named and left out; --install gets what is missing
(apt-get, and a venv with borg and apsw in DIR/venv or --venv)."""
import argparse
import filecmp
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import limits
import states
import table
import tools
from measure import ROOT, Failed, about_this_run, differences, folder_bytes, put, python_of_dbdiff, run, touch_memory

# What a copy may lose and still be called equal row for row; the first that fits is named.
LOSSES = (("rows", ""), ("rows, not pragmas", "pragmas"), ("rows, not rowids", "rowid,order"),
          ("rows, not rowids and pragmas", "rowid,order,pragmas"))


class Contestant:
    """A tool with its own repository and cache."""

    def __init__(self, name, path, folder, live):
        self.tool, self.name, self.folder = tools.TOOLS[name], name, folder
        self.repo, self.cache, self.out = folder / "repo", folder / "cache", folder / "out"
        self.variables = {"bin": path, "db": live, "base": live.name, "repo": self.repo, "cache": self.cache, "out": self.out}
        for made in (self.cache, self.out):
            made.mkdir(parents=True)
        self.weight = 0
        self.result = {"steps": []}
        self.shell(self.tool.init)

    def shell(self, line):
        return run("; ".join(filter(None, (self.tool.setup, line))), self.variables)

    def backup(self, state):
        self.variables["tag"] = state.stem
        took = self.shell(self.tool.backup)
        weight = folder_bytes(self.repo)
        self.result["steps"].append(took | {"bytes": weight - self.weight})
        self.weight = weight

    def restore(self, state, python, check):
        self.result["restore"] = self.shell(self.tool.restore)
        found = list(self.out.rglob(self.variables["base"]))
        if len(found) != 1:
            raise Failed("%s restored %d files, not one" % (self.name, len(found)))
        if check:
            self.result["restored"] = sameness(state, found[0], python)
        shutil.rmtree(self.out)
        self.out.mkdir()

    def verify(self):
        self.result["verify"] = self.shell(self.tool.verify)
        self.result["cache_bytes"] = folder_bytes(self.cache)


def sameness(state, restored, python):
    if filecmp.cmp(state, restored, shallow=False):
        return "byte for byte"
    for word, ignored in LOSSES:
        found = differences(python, state, restored, ignored)
        if not found:
            return word
    print("differs from %s:\n%s" % (state.name, found[:2000]), file=sys.stderr)
    return None


def stamp(path):
    found = path.stat()
    return found.st_mtime_ns, found.st_size, sorted(p.name for p in path.parent.iterdir())


def one_round(all_states, contestants, live, python, check):
    for state in all_states:
        placed = None
        for contestant in contestants:
            if not placed or stamp(live) != placed:     # the last tool has changed the file, or left others beside it
                put(state, live)
                placed = stamp(live)
            contestant.backup(state)
        print("  %-20s %s" % (state.stem, "  ".join(
            "%s %d" % (c.name, c.result["steps"][-1]["bytes"]) for c in contestants)), flush=True)
    for contestant in contestants:
        contestant.restore(all_states[-1], python, check)
    for contestant in contestants:
        contestant.verify()


def measure(a, all_states, left_out):
    results = a.work / (a.label + ".json")
    found = {name: tools.binary(name, a.larder, a.venv) for name in tools.chosen(a.tools.split(","))}
    ready = {name: path for name, path in found.items() if path}
    record = about_this_run() | {
        "command": "benches/peers/peers.py " + shlex.join(without_paths(sys.argv[1:])), "missing": [n for n in found if not found[n]],
        "left_out": left_out, "states": [{"name": states.kind_of(s), "bytes": s.stat().st_size} for s in all_states],
        "versions": list(dict.fromkeys(tools.version(name, path) for name, path in ready.items())), "runs": {n: [] for n in ready}}
    touch_memory(a.touch)
    python, live_folder, rounds = python_of_dbdiff(a.venv), a.work / "live", a.work / "round"
    for number in range(a.reps):
        print("round %d of %d" % (number + 1, a.reps), flush=True)
        for folder in (live_folder, rounds):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        live = live_folder / "app.db"
        contestants = [Contestant(n, path, rounds / str(i), live) for i, (n, path) in enumerate(ready.items())]
        one_round(all_states, contestants, live, python, number == 0)
        for contestant in contestants:
            record["runs"][contestant.name].append(contestant.result)
        results.write_text(json.dumps(record, indent=1))
        shutil.rmtree(rounds)
    record["limits"] = []
    if not a.no_limits:
        print("limits", flush=True)
        record["limits"] = limits.of_states(all_states, a.work / ("limits-%s.json" % a.label))
    if a.tar:
        record["tar_xz"] = limits.tar_xz(all_states)
    results.write_text(json.dumps(record, indent=1))
    return all(runs[0]["restored"] for runs in record["runs"].values())


def without_paths(words):
    """The command as somebody else could give it: of folders only their last names."""
    return [os.path.basename(word.rstrip("/")) if word.startswith("/") else word for word in words]


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=("run", "table"))
    ap.add_argument("--work", type=Path, required=True, help="folder for states, repositories and results")
    ap.add_argument("--db", type=Path, help="first state of the shop")
    ap.add_argument("--series", type=Path, help="folder with the states, in place of --db")
    ap.add_argument("--kinds", default="first,update1pct,day,append1pct,vacuum,addindex,addcolumn,nothing")
    ap.add_argument("--tools", default=",".join(tools.SHORT), help="default: %(default)s")
    ap.add_argument("--reps", type=int, default=1)
    ap.add_argument("--label", default="main", help="name of the results, and of the states' folder")
    ap.add_argument("--tar", action="store_true", help="also tar | xz -9 of all states")
    ap.add_argument("--no-limits", action="store_true", help="without what the states weigh alone: zstd -19 of a large one takes long")
    ap.add_argument("--touch", type=int, metavar="GIB", default=0, help="first use so much memory once: as much as is free")
    ap.add_argument("--larder", type=Path, default=ROOT / "target/release/larder")
    ap.add_argument("--venv", type=Path, help="where borg and apsw are, or are put [default: DIR/venv]")
    ap.add_argument("--install", action="store_true", help="install what is missing; needs root")
    a = ap.parse_args()
    a.work = a.work.resolve()
    a.venv = (a.venv or a.work / "venv").absolute()
    if a.what == "run" and bool(a.db) == bool(a.series):
        ap.error("run needs --db or --series")
    return a


def main():
    a = arguments()
    if a.what == "table":
        print(table.markdown(json.loads((a.work / (a.label + ".json")).read_text())))
        return
    a.work.mkdir(parents=True, exist_ok=True)
    if a.install:
        tools.install(a.venv)
    folder, left_out = a.work / ("states-" + a.label), []
    if a.db:
        all_states = states.of_shop(a.db, folder, states.expand(a.kinds))
    else:
        all_states, left_out = states.of_series(a.series, folder)
    if not measure(a, all_states, left_out):
        sys.exit("a tool restored something else than it was given: see above")
    print(table.markdown(json.loads((a.work / (a.label + ".json")).read_text())))


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), failure))
