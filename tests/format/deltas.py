"""Deltas of a larder store, from store-format.md §4.3 alone: canonical forms of bases to that of the result."""
import itertools, struct
import zstandard
from leaves import Damage, Fields, column, integers, need

def after(prefix, frame, what, most):
    """A zstd frame made with `prefix` as raw content prefix."""
    words = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    d = zstandard.ZstdDecompressor(dict_data=words, max_window_size=1 << 23).decompressobj()
    try:
        out = d.decompress(frame)
    except zstandard.ZstdError as e:
        raise Damage(f"{what}: {e}")
    need(d.eof and not d.unused_data and len(out) <= most, f"{what}: not one whole zstd frame, or too long")
    return out

def runs(f, count):
    """The positions that runs name among `count`."""
    out, at = [], 0
    for _ in range(f.varint()):
        first = at + f.varint()
        at = first + f.varint()
        need(first < at <= count, f"{f.what}: a wrong run")
        out += range(first, at)
    return out

def rows_at(f, count, rows):
    at = list(itertools.accumulate((f.varint() + 1 for _ in range(count)), initial=-1))[1:]
    need(not at or at[-1] < rows, f"{f.what}: a changed row that is not there")
    return at

def cells(f, rows):  # a column of §8.1: (class, bytes) for each row
    classes = f.take(rows)
    need(max(classes, default=0) < 7, f"{f.what}: unknown class")
    lengths = [f.get("I") if c in (3, 4) else (0, 8, 8, 0, 0, 41, 41)[c] for c in classes]
    return [(c, f.take(n)) for c, n in zip(classes, lengths)]

def parse(data, what):  # §8.1
    f = Fields(data, what)
    rows, columns, has_rowids = f.get("IHB")
    offsets = [f.get("Q") for _ in range(rows)] if has_rowids else None
    return rows, offsets, [cells(f, rows) for _ in range(columns)]

def leaf(bases, delta, what):
    """Of the bases' canonical forms the result's."""
    parsed, f = [parse(base, what) for base in bases], Fields(delta, what)
    need(len({(p[1] is None, len(p[2])) for p in parsed}) == 1, f"{what}: bases of different columns")
    values = lambda count: cells(Fields(column(f, count), what), count)
    old = [sum((p[2][i] for p in parsed), []) for i in range(len(parsed[0][2]))]
    origin = [(number, row) for number, p in enumerate(parsed) for row in range(p[0])]
    rows, listed, kept, table = f.varint(), f.get("B"), {}, []
    need(0 < rows <= 65_536 and listed < 2, f"{what}: too many rows, or unknown column map")
    for at in range(f.varint() if listed else len(old)):
        source = f.get("B") if listed else 0
        need(source < 3, f"{what}: unknown source of a column")
        if source == 0:
            kept[at] = f.varint() if listed else at
            need(kept[at] < len(old), f"{what}: no such column")
        table.append([None] * rows if source == 0 else values(1) * rows if source == 1 else values(rows))
    gone, new = set(runs(f, len(origin))), runs(f, rows)
    stay, inserted = [row for row in range(len(origin)) if row not in gone], set(new)
    taken = [row for row in range(rows) if row not in inserted]
    need(len(stay) == len(taken), f"{what}: rows do not add up")
    mode = f.get("B")
    need(mode < 4, f"{what}: unknown rowid mode")
    if mode == 3:
        shifts, offsets = [f.zigzag() for _ in bases], [0] * rows
        for row, offset in zip(new, integers(f, len(new))):
            offsets[row] = offset
        for row, (number, place) in zip(taken, (origin[row] for row in stay)):
            offsets[row] = (parsed[number][1][place] + shifts[number]) % (1 << 64)
    else:
        offsets = [lambda: None, lambda: range(rows), lambda: integers(f, rows)][mode]()
    for at, source in kept.items():
        for row, cell in zip(new, values(len(new)) if new else []):
            table[at][row] = cell
        for row, place in zip(taken, stay):
            table[at][row] = old[source][place]
    places = []
    for at in kept:
        mode = f.get("B")
        need(mode < 3, f"{what}: unknown mode of changed cells")
        if mode == 1:
            places = rows_at(f, f.varint(), rows)
        for row, cell in zip(places, values(len(places)) if mode else []):
            table[at][row] = cell
        last = -1
        for _ in range(f.varint()):
            last += f.varint() + 1
            need(last < rows and table[at][last][0] in (3, 4), f"{what}: a patch of no text or blob")
            made = after(table[at][last][1], f.take(f.varint()), what, 16_384)
            table[at][last] = (table[at][last][0], made)
    f.end()
    out = struct.pack("<IHB", rows, len(table), offsets is not None)
    out += b"" if offsets is None else struct.pack(f"<{rows}Q", *(o % (1 << 64) for o in offsets))
    for one in table:
        out += bytes(c for c, _ in one) + b"".join(struct.pack("<I", len(v)) for c, v in one if c in (3, 4))
        out += b"".join(v for _, v in one)
    return out

def node(base, delta, what):  # §7
    f, d = Fields(base, what), Fields(delta, what)
    level, span, count = f.get("BBI")

    def tail(f):
        flags = f.get("B")
        if span == 1:
            length = f.get("H")
            return struct.pack("<BH", flags, length) + f.take(length + (40 if flags & 2 else 0))
        return bytes([flags]) + f.take(16 if span == 0 else 0)

    entry = lambda f: [f.take(32), *f.get("QQ"), tail(f)]
    old, children = [entry(f) for _ in range(count)], d.varint()
    need(children <= 1024, f"{what}: too many children")
    gone, new = set(runs(d, count)), runs(d, children)
    stay, added = (e for at, e in enumerate(old) if at not in gone), {at: entry(d) for at in new}
    out = [added[at] if at in added else next(stay, None) for at in range(children)]
    need(None not in out and next(stay, None) is None, f"{what}: children do not add up")
    at = -1
    for _ in range(d.varint()):
        at += 1 + d.varint()
        fields = d.get("B")
        need(at < children and fields < 16, f"{what}: a wrong change")
        read = [lambda: d.take(32), d.varint, d.varint, lambda: tail(d)]
        for bit, take in enumerate(read):
            if fields >> bit & 1:
                out[at][bit] = take()
    d.end()
    return struct.pack("<BBI", level, span, children) + b"".join(e[0] + struct.pack("<QQ", *e[1:3]) + e[3] for e in out)
