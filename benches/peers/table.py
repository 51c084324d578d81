"""Markdown of what peers.py measured: exactly what stands in docs/benchmarks.md."""
from statistics import median

from limits import ROW_LIMIT_SLACK

FEW = 12            # so many states have a column each; longer series are summed up


def rows(head, lines):
    """A table whose first column is text; numbers stand right."""
    return "\n".join(["| " + " | ".join(line) + " |" for line in
                      [head, ["---"] + ["--:"] * (len(head) - 1)] + [[str(c) for c in line] for line in lines]])


def number(value):
    return "{:,}".format(value)


def factor(over, under):
    """Two decimals, or two digits where it is small; without a denominator there is none."""
    if not under or under <= 0:
        return "-"
    return "%.2f" % (over / under) if over / under >= 0.1 or not over else "%.2g" % (over / under)


class Measured:
    """Medians over the rounds."""

    def __init__(self, record):
        self.record, self.runs = record, {name: runs for name, runs in record["runs"].items() if runs}
        self.states = [state["name"] for state in record["states"]]
        self.limits = [limit["zstd19"] for limit in record.get("limits", [])]

    def step(self, name, index, what):
        return median(run["steps"][index][what] for run in self.runs[name])

    def steps(self, name, what):
        return [self.step(name, index, what) for index in range(len(self.states))]

    def end(self, name, stage, what):
        return median(run[stage][what] for run in self.runs[name])

    def bytes(self, name):
        return [int(b) for b in self.steps(name, "bytes")]

    def restored(self, name):
        return self.runs[name][0].get("restored") or "**no, different**"


def markdown(record):
    m = Measured(record)
    parts = [heading(m), few(m) if len(m.states) <= FEW else many(m), footnotes(m)]
    return "\n\n".join(parts)


def heading(m):
    r = m.record
    first, last = r["states"][0], r["states"][-1]
    rounds = len(next(iter(m.runs.values())))
    return "%s, commit %s, %s; %s. %d states, the first %s bytes, the last %s; %s.\n\n    %s" % (
        r["date"], r["commit"], r["machine"], ", ".join(r["versions"]), len(m.states), number(first["bytes"]), number(last["bytes"]),
        "one round" if rounds == 1 else "medians of %d rounds" % rounds, r["command"])


def few(m):
    """One table a measure, one column a state."""
    ends = ["restore", "verify"]
    parts = ["Bytes that the repository grew by:\n\n" + bytes_table(m)]
    for title, what, form in (("CPU seconds, user + system", "cpu", "%.2f"), ("Wall seconds", "wall", "%.2f"), ("Peak MiB", "peak_mib", "%.0f")):
        lines = [[name] + [form % v for v in m.steps(name, what) + [m.end(name, end, what) for end in ends]] for name in m.runs]
        parts.append("%s, of each backup, of restoring the newest, of verifying all:\n\n%s" % (title, rows(["tool"] + m.states + ends, lines)))
    return "\n\n".join(parts)


def bytes_table(m):
    grown = {name: m.bytes(name) for name in m.runs}
    lines = [[name] + [number(b) for b in grown[name]] + [number(sum(grown[name])), m.restored(name)] for name in grown]
    if m.limits:
        lines.append(["*limit*"] + [number(b) for b in m.limits] + ["", ""])
    if "larder" in grown:
        mine = grown["larder"]
        if m.limits:
            lines.append(["larder / limit"] + [factor(*pair) for pair in zip(mine, m.limits)] + ["", ""])
            lines.append(["(larder - %d KiB) / limit" % (ROW_LIMIT_SLACK >> 10)] + ["-"] + [
                factor(max(0, b - ROW_LIMIT_SLACK), limit) for b, limit in zip(mine[1:], m.limits[1:])] + ["", ""])
        for peer in ("restic", "borg", "borg fixed,4096"):
            if peer in grown:
                theirs = grown[peer]
                lines.append(["larder / " + peer] + [factor(*pair) for pair in zip(mine, theirs)] + [factor(sum(mine), sum(theirs)), ""])
        peers = {name: b for name, b in grown.items() if not name.startswith("larder")}
        if peers:
            lines.append(["larder / best peer"] + [against_best(mine[i], {n: b[i] for n, b in peers.items()}) for i in range(len(mine))]
                         + [against_best(sum(mine), {n: sum(b) for n, b in peers.items()}), ""])
    return rows(["tool"] + m.states + ["all", "newest restored"], lines)


def against_best(mine, peers):
    best = min(peers, key=peers.get)
    return "%s (%s)" % (factor(mine, peers[best]), best)


def many(m):
    """A long series: one line a tool."""
    grown = {name: m.bytes(name) for name in m.runs}
    total = {name: sum(b) for name, b in grown.items()}
    head = ["tool", "first", "%d more" % (len(m.states) - 1), "all", "larder / it", "CPU s, all backups", "CPU s, median", "wall s, median",
            "peak MiB", "restore CPU s", "restore wall s", "verify CPU s", "verify wall s", "newest restored"]
    lines = []
    for name in sorted(grown, key=total.get):
        cpu, wall = m.steps(name, "cpu"), m.steps(name, "wall")
        lines.append([name, number(grown[name][0]), number(sum(grown[name][1:])), number(total[name]),
                      factor(total.get("larder", 0), total[name]) if "larder" in total else "-", "%.1f" % sum(cpu), "%.2f" % median(cpu[1:]),
                      "%.2f" % median(wall[1:]), "%.0f" % max(m.steps(name, "peak_mib"))] + [
                          "%.2f" % m.end(name, stage, what) for stage in ("restore", "verify") for what in ("cpu", "wall")] + [m.restored(name)])
    weights = []
    if m.limits:
        weights.append(("*limit*", m.limits[0], sum(m.limits[1:]), sum(m.limits)))
    if "tar_xz" in m.record:
        weights.append(("`tar \\| xz -9` of all", None, None, m.record["tar_xz"]))
    for name, first, more, all_of_it in weights:
        lines.append([name] + ["" if v is None else number(v) for v in (first, more, all_of_it)] + [
            factor(total.get("larder", 0), all_of_it)] + [""] * (len(head) - 5))
    return "Bytes that the repository grew by, and what it took:\n\n" + rows(head, lines)


def footnotes(m):
    notes = ["*limit*: `zstd -19` of the file for the first state, of the new and changed rows and deleted keys as JSON lines "
             "(`rowdiff.py`) for every next one."] if m.limits else []
    if len(m.states) <= FEW:
        notes.append("Best peer: the smallest of the other tools in that column.")
    if "tar_xz" in m.record and len(m.states) <= FEW:
        notes.append("`tar | xz -9` of all states: %s bytes." % number(m.record["tar_xz"]))
    caches = ["%s %s" % (name, number(int(median(run["cache_bytes"] for run in runs)))) for name, runs in m.runs.items() if "cache_bytes" in runs[0]]
    notes.append("Kept outside the repository and not counted (bytes): %s." % ", ".join(c for c in caches if not c.endswith(" 0")))
    if m.record["missing"]:
        notes.append("Not on this machine: %s." % ", ".join(m.record["missing"]))
    if m.record["left_out"]:
        notes.append("Left out, because a `-wal` is beside them: %s." % ", ".join(m.record["left_out"]))
    return "\n".join(notes)
