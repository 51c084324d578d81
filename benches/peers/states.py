"""The states of a database that are backed up one after another: a generated shop that changes, or a folder of real ones."""
import filecmp
import os
import re
import shutil
import sys
from pathlib import Path

import mutate_shop
from measure import Failed, output

HERE = Path(__file__).resolve().parent


def expand(kinds):
    """'first,update1pct,day*30' -> the changes after the first state, one by one. "first" is always there."""
    changes = []
    for word in kinds.split(","):
        kind, _, times = word.strip().partition("*")
        if kind not in mutate_shop.KINDS + ("first",):
            raise Failed("no kind %s; there are: first %s" % (kind, " ".join(mutate_shop.KINDS)))
        changes += [kind] * int(times or 1)
    return [kind for kind in changes if kind != "first"]


def kind_of(state):
    """'003-append1pct.db' -> 'append1pct'"""
    return state.stem.partition("-")[2]


def make_shop(path, rows, seed):
    output([sys.executable, HERE / "gen_shop.py", path, "--rows", rows, "--seed", seed])


def of_shop(database, folder, changes, seed=1):
    """Each state is the one before it after one change. States that are there already are kept: they are deterministic."""
    folder.mkdir(parents=True, exist_ok=True)
    states, made_of = [folder / "000-first.db"], folder / "made-of"
    if not states[0].exists():
        copy(database, states[0])
        made_of.write_text("%d %s" % (seed, changes))
    if made_of.read_text() != "%d %s" % (seed, changes) or not filecmp.cmp(database, states[0], shallow=False):
        raise Failed("%s holds states of another database, of other changes or another seed" % folder)
    for number, kind in enumerate(changes, 1):
        state = folder / ("%03d-%s.db" % (number, kind))
        if not state.exists():
            unready = folder / "unready"
            shutil.copyfile(states[-1], unready)
            mutate_shop.mutate(unready, kind, (seed - 1) * 1000 + number)
            os.replace(unready, state)
        states.append(state)
    return states


def of_series(series, folder):
    """Copies the databases of a folder in the order of their names, numbers as numbers -> states, names left out.

    One with something in a -wal beside it is left out: it is two files, and a tool that reads files would need both at
    one moment."""
    folder.mkdir(parents=True, exist_ok=True)
    states, left_out = [], []
    natural = lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)]  # noqa: E731
    for database in sorted(Path(series).glob("*.db"), key=natural):
        log = Path(str(database) + "-wal")
        if log.exists() and log.stat().st_size:
            left_out.append(database.name)
            continue
        state = folder / ("%03d-%s.db" % (len(states), database.stem))
        copy(database, state)
        states.append(state)
    if not states:
        raise Failed("no *.db in %s" % series)
    return states, left_out


def copy(database, state):
    unready = state.with_name("unready")
    shutil.copyfile(database, unready)
    os.replace(unready, state)
