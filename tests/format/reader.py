#!/usr/bin/env python3
"""Reads a snapshot of a larder store with nothing but store-format.md. Shares no code with larder.

    reader.py STORE [SNAPSHOT]    prints one JSON line for each record; rebuild.py makes a database of them

SNAPSHOT: an id or the beginning of one; without it the last one. Needs `blake3` and `zstandard`.
Exit: 0 good, 1 damage or an unknown format (the message names the object). Section numbers: store-format.md.
"""
import base64, itertools, json, os, struct, sys
import blake3, zstandard

LEAF, NODE, CHUNK, CHUNK_NODE, SCHEMA = 1, 2, 3, 4, 5
BLOB_MAX, OBJECT_MAX, SPILL_OVER = 64 << 20, 64 << 20, 16_384

class Damage(Exception):
    """What is wrong, and where."""

def need(good, text):
    if not good:
        raise Damage(text)

def H(domain, data):  # §4.1
    return blake3.blake3(b"larder\0" + bytes([domain]) + data).digest()

def unzstd(data, what, plain=None, most=OBJECT_MAX):
    """Exactly one zstd frame, of `plain` bytes or at most `most`."""
    d = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()
    try:
        out = d.decompress(data)
    except zstandard.ZstdError as e:
        raise Damage(f"{what}: {e}")
    need(d.eof and not d.unused_data, f"{what}: not one whole zstd frame")
    need(len(out) <= most if plain is None else len(out) == plain, f"{what}: wrong plain length")
    return out

class Fields:
    """Little-endian fields, front to back, each checked against what is there."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, count):
        need(self.at + count <= len(self.data), f"{self.what} is cut short")
        self.at += count
        return self.data[self.at - count:self.at]

    def get(self, form):
        out = struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))
        return out[0] if len(out) == 1 else out

    def end(self):
        need(self.at == len(self.data), f"{self.what}: bytes behind its end")

def known_format(content, name):  # §2
    need(content["format"] == {"version": 0, "draft": 1}, f"{name}: unknown format {content['format']}")
    need(not content.get("features"), f"{name}: unknown features {content.get('features')}")

class Store:
    def __init__(self, path):
        self.path, self.blobs, self.frame = path, {}, (None, b"")
        known_format(self.object("config", "C"), "config")
        for folder, name in [(f, n) for f in self.list("packs") for n in self.list("packs/" + f)]:
            self.footer(f"packs/{folder}/{name}", name)

    def list(self, folder):
        path = os.path.join(self.path, folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def bytes(self, name, at=0, count=-1):
        path = os.path.join(self.path, name)
        need(os.path.isfile(path), f"{name} is not there")
        with open(path, "rb") as f:
            f.seek(at)
            return f.read(count)

    def object(self, name, kinds):  # §3
        f = Fields(self.bytes(name), name)
        need(f.get("II") == (0x184D2A5C, 40) and f.take(6) == b"larder", f"{name}: not an object")
        kind, version, digest = f.get("BB32s")
        need(chr(kind) in kinds, f"{name}: wrong kind {chr(kind)!r}")
        need(version == 0, f"{name}: unknown format version {version}")
        payload = f.take(len(f.data) - f.at)
        need(H(kind, bytes([version]) + payload) == digest, f"{name}: its digest is another")
        content = json.loads(unzstd(payload, name))
        return None if chr(kind) == "A" else content

    def footer(self, name, pack_id):  # §5, §6
        data = self.bytes(name)
        need(blake3.blake3(data).hexdigest() == pack_id and name[6:8] == pack_id[:2], f"{name}: its name is not its hash")
        need(len(data) >= 80 and data[:16] == b"larderPK\0\x01" + bytes(6), f"{name}: its head is wrong")
        stored, plain, digest, magic = struct.unpack("<II32s8s", data[-48:])
        footer = data[-48 - stored:-48]
        need(magic == b"larderFT" and stored + 80 <= len(data), f"{name}: its trailer is wrong")
        need(H(ord("f"), footer) == digest, f"{name}: its footer's digest is another")
        f = Fields(unzstd(footer, name, plain), name)
        frame_count, blob_count = f.get("II")
        frames, at = [], 32
        for _ in range(frame_count):
            offset, length, plain = f.get("QII")
            need(offset == at, f"{name}: a gap between frames")
            frames.append((name, offset, length, plain))
            at += length
        need(at == len(data) - 48 - stored, f"{name}: frames end elsewhere than the footer begins")
        for _ in range(blob_count):
            entry = f.get("32sBBB16sIIII")
            need(entry[7] < frame_count and entry[1] in range(1, 6), f"{name}: a wrong footer entry")
            self.blobs.setdefault((entry[1], entry[0]), []).append((frames[entry[7]], entry))
        f.end()

    def blob(self, kind, blob_id):
        """The canonical form: of the first copy that is good; §4."""
        name, why = f"blob {blob_id.hex()} of kind {kind}", "no pack has it"
        for frame, entry in self.blobs.get((kind, blob_id), []):
            try:
                out = self.copy(frame, entry, name)
                need(H(kind, out) == blob_id, f"{name} in {frame[0]}: its id is another")
                return out
            except Damage as e:
                why = str(e)
        raise Damage(f"{name}: {why}")

    def copy(self, frame, entry, name):
        _, kind, encoding, _, _, canonical, encoded, _, offset = entry
        pack, at, length, plain = frame
        if self.frame[0] != (pack, at):
            self.frame = ((pack, at), unzstd(self.bytes(pack, at, length), f"a frame of {pack}", plain))
        need(encoding != 2, f"{name} in {pack} is a delta: this draft has none")
        f = Fields(self.frame[1][offset:], name)
        need(f.get("BBII") == (kind, encoding, canonical, encoded), f"{name}: frame and footer of {pack} differ")
        need(encoding < 2 and canonical <= BLOB_MAX, f"{name}: unknown encoding, or too long")
        out = f.take(encoded) if encoding == 0 else from_columns(f.take(encoded), name)
        need(len(out) == canonical, f"{name}: wrong length")
        return out

    def large(self, level, blob_id, length):
        """The bytes of a spilled value; §9."""
        if level == 0:
            out = self.blob(CHUNK, blob_id)
        else:
            f = Fields(self.blob(CHUNK_NODE, blob_id), f"chunk node {blob_id.hex()}")
            own, count = f.get("BI")
            need(own == level <= 16 and 0 < count <= 1024, f"{f.what}: wrong level or count")
            out = b"".join(self.large(level - 1, *f.get("32sQ")) for _ in range(count))
            f.end()
        need(len(out) == length, f"chunk tree {blob_id.hex()}: wrong length")
        return out

def planes(f, count, width):
    raw = [f.take(count) for _ in range(width)]
    return [int.from_bytes(bytes(column), "little") for column in zip(*raw)] if width else [0] * count

def signed(number):  # modulo 2^64, from -2^63
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)

def integers(f, count):  # §8.3
    if not count:
        return []
    codec, width = f.get("BB")
    need(codec in (0, 1) and width <= 8, f"{f.what}: unknown codec of integers")
    if codec == 0:
        least = f.get("q")
        return [signed(least + u) for u in planes(f, count, width)]
    steps = ((u >> 1) ^ -(u & 1) for u in planes(f, count, width))
    return [signed(n) for n in itertools.accumulate(steps)]

def reals(f, count):  # §8.4, as their 8 bytes
    if not count or f.get("B") == 0:
        return [u.to_bytes(8, "little") for u in planes(f, count, 8)]
    power = float(10 ** f.get("B"))
    return [struct.pack("<d", float(n) / power) for n in integers(f, count)]

def from_columns(data, what):  # §8.2
    f = Fields(data, what)
    rows, columns, mode = f.get("IHB")
    need(rows <= 65_536 and mode <= 2, f"{what}: too many rows, or unknown rowid mode")
    out = [struct.pack("<IHB", rows, columns, mode > 0)]
    offsets = {0: lambda: [], 1: lambda: range(rows), 2: lambda: integers(f, rows)}[mode]()
    out += [struct.pack("<q", o) for o in offsets]
    for _ in range(columns):
        one = f.take(1)
        classes = f.take(rows) if one == b"\xff" else one * rows
        numbers = iter(integers(f, classes.count(1)))
        bits = iter(reals(f, classes.count(2)))
        lengths = integers(f, classes.count(3) + classes.count(4))
        need(all(0 <= n <= SPILL_OVER for n in lengths), f"{what}: a length out of bounds")
        texts = Fields(f.take(sum(lengths)), what)
        spilled = Fields(f.take(41 * (classes.count(5) + classes.count(6))), what)
        out += [classes, struct.pack(f"<{len(lengths)}I", *lengths)]
        each = iter(lengths)
        text, spill = lambda: texts.take(next(each)), lambda: spilled.take(41)
        make = [lambda: b"", lambda: struct.pack("<q", next(numbers)), lambda: next(bits), text, text, spill, spill]
        need(max(classes, default=0) < 7, f"{what}: unknown class")
        out += [make[c]() for c in classes]
    f.end()
    return b"".join(out)

def leaf_rows(data, what, first):  # §8.1: (rowid, [(class, value)]) for each row
    f = Fields(data, what)
    rows, columns, has_rowids = f.get("IHB")
    need(0 < rows <= 65_536 and has_rowids in (0, 1), f"{what}: wrong counts")
    offsets = [f.get("Q") for _ in range(rows)] if has_rowids else []
    need(offsets[:1] in ([], [0]) and all(a < b for a, b in zip(offsets, offsets[1:])), f"{what}: rowids do not rise")
    need((first is not None) == bool(has_rowids), f"{what}: rowids where none belong, or none")
    table = []
    for _ in range(columns):
        classes = f.take(rows)
        lengths = [f.get("I") if c in (3, 4) else 0 for c in classes]
        need(max(lengths) <= SPILL_OVER and max(classes) < 7, f"{what}: a wrong class or length")
        spill = lambda n: f.get("QB32s")
        read = [lambda n: None, lambda n: f.get("q"), lambda n: f.get("d"), f.take, f.take, spill, spill]
        table.append([(c, read[c](n)) for c, n in zip(classes, lengths)])
    f.end()
    need(not offsets or first + offsets[-1] < 1 << 63, f"{what}: a rowid too large")
    return [(first + offsets[r] if has_rowids else None, [column[r] for column in table]) for r in range(rows)]

def tree_rows(store, level, blob_id, rows, size, refs, first, last=None):
    """The rows of a tree, in order, with all that is said of its places checked; §7."""
    if level == 0:
        data, what = store.blob(LEAF, blob_id), f"leaf {blob_id.hex()}"
        out = leaf_rows(data, what, first)
        need((len(out), len(data)) == (rows, size), f"{what}: wrong counts")
        need(refs == any(c > 4 for _, row in out for c, _ in row), f"{what}: wrong has_refs")
        need(last is None or out[-1][0] == last, f"{what}: wrong last rowid")
        yield from out
        return
    f = Fields(store.blob(NODE, blob_id), f"node {blob_id.hex()}")
    own, span, count = f.get("BBI")
    need(own == level <= 16 and 0 < count <= 1024 and span <= 2, f"{f.what}: wrong level, span or count")
    children = []
    for _ in range(count):
        child, below, length, flags = f.get("32sQQB")
        bounds = f.get("qq") if span == 0 else (None, None)
        f.take((f.get("H") if span == 1 else 0) + (40 if flags & 2 else 0))
        need(flags < (4 if span == 1 else 2) and below, f"{f.what}: wrong child")
        children.append((level - 1, child, below, length, bool(flags & 1), *bounds))
    f.end()
    sums = [sum(c[i] for c in children) for i in (2, 3)] + [any(c[4] for c in children), children[0][5]]
    need(sums == [rows, size, refs, first], f"{f.what}: its children do not add up")
    need(last is None or children[-1][6] == last, f"{f.what}: wrong last rowid")
    for child in children:
        yield from tree_rows(store, *child)

def table_rows(store, entity, width):
    """The records of an entity, spilled values in full."""
    root, name, before, count = entity.get("root"), entity["entity"], None, 0
    need((root is None) == (entity["records"] == 0), f"{name}: records without root, or a root without")
    if root:
        place = (root.get("level", 0), bytes.fromhex(root["id"]), entity["records"], entity["bytes"])
        for rowid, row in tree_rows(store, *place, root.get("has_refs", False), root.get("first_rowid")):
            need(rowid is None or before is None or before < rowid, f"{name}: rowids do not rise at {rowid}")
            need(len(row) == width, f"{name}: a leaf of {len(row)} columns, not {width}")
            before, count = rowid, count + 1
            yield rowid, [(c - 2, store.large(v[1], v[2], v[0])) if c > 4 else (c, v) for c, v in row]
    need(count == entity["records"], f"{name}: {count} records, not {entity['records']}")

def leaf_columns(table):  # §8
    alias = table["kind"]["rowid"].get("alias") if isinstance(table["kind"], dict) else None
    stored = [i for i, c in enumerate(table["columns"]) if c.get("kind", "ordinary") in ("ordinary", "generated_stored")]
    return alias, [i for i in stored if i != alias]

def shown(cls, value):
    if cls in (3, 4):
        coded = base64.b64encode(value).decode()
        plain = value.decode(errors="replace")
        return {"blob": coded} if cls == 4 else plain if plain.encode() == value else {"text": coded}
    return value if cls != 2 or abs(value) != float("inf") else {"real": repr(value)}

def print_record(table, rowid, row):
    alias, columns = leaf_columns(table)
    record = {table["columns"][i]["name"]: shown(*v) for i, v in zip(columns, row)}
    record.update({} if alias is None else {table["columns"][alias]["name"]: rowid})
    print(json.dumps({"entity": table["name"], "rowid": rowid, "record": record}))

def read(path, prefix=""):
    """The store, the manifest of a snapshot, its schema, and its tables by name."""
    store = Store(path)
    found = [(n, store.object("snapshots/" + n, "SA")) for n in store.list("snapshots") if n.startswith(prefix)]
    found = [(n, m) for n, m in found if m]  # without abort markers
    need(found and (not prefix or len(found) == 1), f"{len(found)} snapshots begin with {prefix!r}")
    name, manifest = found[-1]
    known_format(manifest, name)
    need(manifest["id"] == name, f"snapshots/{name} says it is {manifest['id']}")
    return store, manifest, json.loads(store.blob(SCHEMA, bytes.fromhex(manifest["schema"])))

def records(store, manifest, schema):
    """(table, rowid, [(class, value)]) for every record of every table."""
    tables = {t["name"].lower(): t for t in schema["tables"]}
    for entity in manifest["entities"] + manifest.get("internal", []):
        table = tables.get(entity["entity"].lower())
        need(table, f"{entity['entity']}: not in the schema")
        for rowid, row in table_rows(store, entity, len(leaf_columns(table)[1])):
            yield table, rowid, row

if __name__ == "__main__":
    try:
        for record in records(*read(*sys.argv[1:3])):
            print_record(*record)
    except Damage as e:
        sys.exit(f"reader.py: {e}")
