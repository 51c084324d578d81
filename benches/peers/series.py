#!/usr/bin/env python3
"""series.py: larder's growth over a series of states, and the proof that every snapshot of it comes back.

  series.py --shop 20000 --kinds 'day*365'     a shop of about so many rows (gen_shop.py) and its changes (mutate_shop.py)
  series.py --series FOLDER                    the databases of a folder, by their names

Every state is put at one path and backed up into one store; printed are the bytes that each adds, beside what its changed
rows weigh by themselves (limits.py), and `tar | xz -9` of all states. Then every snapshot is restored and compared with the
state it was made of (tests/tools/dbdiff.py; its Python, with apsw, is LARDER_TEST_PYTHON or this one). Then all tables of
the first and of the newest snapshot are read with `larder cat` in turns, and the newest as the only snapshot of a store of
its own. A difference, or a limit given as --at-most-... and missed, ends with exit 1, after all else is done."""
import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import limits
import states
from measure import ROOT, Failed, about_this_run, differences, folder_bytes, output, put, python_of_dbdiff, run

TURNS = 5
FEW = 40            # longer series print a line for every tenth state, and the largest


class Store:
    def __init__(self, larder, folder):
        self.larder, self.folder, self.weight = larder, folder, 0
        self.variables = {"LARDER_STORE": folder / "store", "LARDER_CACHE_DIR": folder / "cache"}
        folder.mkdir(parents=True)
        self.larder_run("init")

    def line(self, *words):
        return shlex.join([str(self.larder), "-q", *map(str, words)])

    def larder_run(self, *words):
        return run(self.line(*words), self.variables)

    def backup(self, database, name):
        """-> bytes that the store grew by, CPU seconds"""
        cpu = self.larder_run("backup", database, "--name", name)["cpu"]
        before, self.weight = self.weight, folder_bytes(self.variables["LARDER_STORE"])
        return self.weight - before, cpu

    def asked(self, *words):
        env = os.environ | {key: str(value) for key, value in self.variables.items()}
        return json.loads(output([self.larder, "--json", *words], env=env))

    def snapshot(self, name):
        """-> records, the line that writes out all of them. Of an old snapshot's name larder reads all later ones first,
        so that it would be the name that is measured, and not the reading."""
        whole_id = next(s["id"] for s in self.asked("list")["snapshots"] if s["name"] == name)
        entities = self.asked("ls", whole_id)["entities"]
        lines = [self.line("cat", "%s:%s" % (whole_id, entity["file"])) for entity in entities]
        return sum(entity["records"] for entity in entities), " && ".join(lines)


def back_up_all(store, all_states, live, weights):
    """-> [(state, kind, bytes grown, CPU, limit)]"""
    steps = []
    for number, (state, weight) in enumerate(zip(all_states, weights)):
        put(state, live)
        grown, cpu = store.backup(live, state.stem)
        kind = states.kind_of(state) if number else "first"
        steps.append((state, kind, grown, cpu, weight["zstd19"]))
    return steps


def print_steps(steps):
    largest = max(steps[1:], key=lambda step: step[2], default=steps[0])
    print("| state | database bytes | store grew by | limit | times the limit | without 8 KiB | CPU s |\n|---|--:|--:|--:|--:|--:|--:|")
    for number, step in enumerate(steps):
        if len(steps) > FEW and number % 10 and number != len(steps) - 1 and step is not largest:
            continue
        state, _, grown, cpu, limit = step
        print("| %s | %d | %d | %d | %s | %s | %.2f |" % (
            state.stem, state.stat().st_size, grown, limit, factor(grown, limit),
            factor(max(0, grown - limits.ROW_LIMIT_SLACK), limit) if number else "-", cpu))


def factor(over, under):
    return "%.2f" % (over / under) if under else "-"


def print_total(steps, all_states, tar):
    total, files = sum(step[2] for step in steps), sum(state.stat().st_size for state in all_states)
    more, limit = sum(step[2] for step in steps[1:]), sum(step[4] for step in steps[1:])
    print("\nstore of %d snapshots: %d bytes, %s of the databases together (%d)" % (len(steps), total, "%.4f" % (total / files), files))
    print("first: %d bytes, %s of zstd -19 of the file (%d)" % (steps[0][2], factor(steps[0][2], steps[0][4]), steps[0][4]))
    print("all others: %d bytes, %s of their limits together (%d); the limit alone, first and all others: %d bytes" % (
        more, factor(more, limit), limit, steps[0][4] + limit))
    if tar:
        weight = limits.tar_xz(all_states)
        print("tar | xz -9 of all states: %d bytes; larder / that %s" % (weight, factor(total, weight)))
    return total


def prove(store, all_states, python, scratch):
    """Restores every snapshot -> names of those that differ from their state."""
    wrong = []
    for state in all_states:
        restored = scratch / "restored.db"
        store.larder_run("restore", state.stem, "--to", restored)
        found = differences(python, state, restored)
        if found:
            print("snapshot %s DIFFERS from its state:\n%s" % (state.stem, found[:2000]))
            wrong.append(state.stem)
        for file in scratch.glob("restored.db*"):
            file.unlink()
    print("%d of %d snapshots restored equal to their states (dbdiff.py)" % (len(all_states) - len(wrong), len(all_states)), flush=True)
    return wrong


def print_reading(store, alone, first, newest):
    """Medians of CPU in turns -> newest / first."""
    subjects = [(of, *of.snapshot(state.stem)) for of, state in ((store, first), (store, newest), (alone, newest))]
    turns = [[run(line, of.variables)["cpu"] for of, _, line in subjects] for _ in range(TURNS)]
    of_first, of_newest, of_alone = (median(turn[i] for turn in turns) for i in range(3))
    records = [count for _, count, _ in subjects]
    print("reading all tables, CPU s, medians of %d turns: first %.3f (%d records), newest %.3f (%d records), newest as a first "
          "snapshot %.3f" % (TURNS, of_first, records[0], of_newest, records[1], of_alone))
    print("newest / first %.2f (records %.2f); newest / newest as a first snapshot %.2f" % (
        of_newest / of_first, records[1] / max(1, records[0]), of_newest / of_alone))
    return of_newest / of_first


def missed_steps(steps, factors, bytes_at_most):
    missed = []
    for state, kind, grown, _, limit in steps:
        slack = 0 if kind == "first" else limits.ROW_LIMIT_SLACK
        if kind in factors and grown > (most := factors[kind] * limit + slack):
            missed.append((state.stem, "%d bytes, at most %.2f x %d + %d = %.0f" % (grown, factors[kind], limit, slack, most), grown / most))
        if kind in bytes_at_most and grown > bytes_at_most[kind]:
            missed.append((state.stem, "%d bytes, at most %d" % (grown, bytes_at_most[kind]), grown / bytes_at_most[kind]))
    return missed


def report_missed(missed, checked):
    for kind in sorted({states.kind_of(Path(name + ".db")) or name for name, _, _ in missed}):
        of_kind = [entry for entry in missed if (states.kind_of(Path(entry[0] + ".db")) or entry[0]) == kind]
        name, text, over = max(of_kind, key=lambda entry: entry[2])
        print("MISSED %s%s: %s: %.2f times what is allowed" % (
            name, " and %d more of its kind" % (len(of_kind) - 1) if len(of_kind) > 1 else "", text, over))
    if checked and not missed:
        print("all limits are kept")


def pairs(number):
    def parse(text):
        kind, _, value = text.partition("=")
        return kind, number(value)
    return parse


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--shop", type=int, metavar="ROWS")
    ap.add_argument("--series", type=Path, metavar="FOLDER")
    ap.add_argument("--kinds", default="first,update1pct,day,append1pct,vacuum,addindex,addcolumn,nothing")
    ap.add_argument("--seed", type=int, default=1, help="of the shop and its changes [default: 1]")
    ap.add_argument("--larder", type=Path, default=ROOT / "target/release/larder")
    ap.add_argument("--work", type=Path, help="work below this folder [default: the system's for temporary files]")
    ap.add_argument("--keep", action="store_true", help="leave states and store behind, and say where")
    ap.add_argument("--no-tar", action="store_true", help="without tar | xz, which takes minutes for a gigabyte")
    ap.add_argument("--at-most-total", type=int, metavar="BYTES", help="for the store with all snapshots")
    ap.add_argument("--at-most-step", type=pairs(float), action="append", default=[], metavar="KIND=FACTOR",
                    help="for every step of a kind: FACTOR x the weight of its changed rows + 8 KiB; for first: FACTOR x zstd -19 of the file")
    ap.add_argument("--at-most-bytes", type=pairs(int), action="append", default=[], metavar="KIND=BYTES", help="for every step of a kind")
    ap.add_argument("--at-most-read", type=float, metavar="FACTOR", help="CPU of reading the newest snapshot over that of the first")
    a = ap.parse_args()
    if bool(a.shop) == bool(a.series):
        ap.error("needs --shop or --series")
    return a


def work_through(a, work):
    """-> True when all came back and all limits are kept"""
    larder, python, left_out = a.larder.resolve(), python_of_dbdiff(), []
    if a.shop:
        states.make_shop(work / "shop.db", a.shop, a.seed)
        all_states = states.of_shop(work / "shop.db", work / "states", states.expand(a.kinds), a.seed)
    else:
        all_states, left_out = states.of_series(a.series, work / "states")
    about, subject = about_this_run(), "shop of %d rows, %s, seed %d" % (a.shop, a.kinds, a.seed) if a.shop else a.series.name
    print("%s, commit %s, %s: %s" % (about["date"], about["commit"], about["machine"], subject), flush=True)
    if left_out:
        print("left out, because a -wal is beside them: %s" % ", ".join(left_out))
    store, live = Store(larder, work / "all"), work / "app.db"
    steps = back_up_all(store, all_states, live, limits.of_states(all_states))
    print_steps(steps)
    total = print_total(steps, all_states, not a.no_tar)
    sys.stdout.flush()
    wrong = prove(store, all_states, python, work)
    alone = Store(larder, work / "alone")
    alone.backup(live, all_states[-1].stem)
    reading = print_reading(store, alone, all_states[0], all_states[-1])
    missed = missed_steps(steps, dict(a.at_most_step), dict(a.at_most_bytes))
    if a.at_most_total and total > a.at_most_total:
        missed.append(("total", "%d bytes, at most %d" % (total, a.at_most_total), total / a.at_most_total))
    if a.at_most_read and reading > a.at_most_read:
        missed.append(("reading", "newest / first %.2f, at most %.2f" % (reading, a.at_most_read), reading / a.at_most_read))
    report_missed(missed, a.at_most_total or a.at_most_step or a.at_most_bytes or a.at_most_read)
    return not missed and not wrong


def main():
    a = arguments()
    work = Path(tempfile.mkdtemp(prefix="series-", dir=a.work))
    try:
        good = work_through(a, work)
    finally:
        if a.keep:
            print("kept: %s" % work)
        else:
            shutil.rmtree(work)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), failure))
