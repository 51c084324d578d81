#!/usr/bin/env python3
"""Reads a snapshot of a larder store with nothing but store-format.md. Shares no code with larder. leaves.py reads
leaves, deltas.py deltas.

    reader.py STORE [SNAPSHOT]    prints one JSON line for each record; rebuild.py makes a database of them

SNAPSHOT: an id or the beginning of one; without it the last one. Needs `blake3` and `zstandard`.
Exit: 0 good, 1 damage or an unknown format (the message names the object). Section numbers: store-format.md.
"""
import base64, json, os, struct, sys
import blake3, zstandard
import deltas
from leaves import Damage, Fields, from_columns, leaf_rows, need

LEAF, NODE, CHUNK, CHUNK_NODE, SCHEMA = 1, 2, 3, 4, 5
BLOB_MAX, OBJECT_MAX = 64 << 20, 64 << 20

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

def known_format(content, name):  # §2
    need(content["format"] == {"version": 0, "draft": 7}, f"{name}: unknown format {content['format']}")
    need(not content.get("features"), f"{name}: unknown features {content.get('features')}")

class Store:
    def __init__(self, path):
        self.path, self.blobs, self.prefixes, self.frames = path, {}, {}, {}
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
        need(len(data) >= 80 and data[:16] == b"larderPK\0\x07" + bytes(6), f"{name}: its head is wrong")
        stored, plain, digest, magic = struct.unpack("<II32s8s", data[-48:])
        footer = data[-48 - stored:-48]
        need(magic == b"larderFT" and stored + 80 <= len(data), f"{name}: its trailer is wrong")
        need(H(ord("f"), footer) == digest, f"{name}: its footer's digest is another")
        f = Fields(unzstd(footer, name, plain), name)
        frame_count, blob_count, base_count = f.get("III")
        frames, at = [], 32
        for _ in range(frame_count):
            offset, length, plain = f.get("QII")
            need(offset == at, f"{name}: a gap between frames")
            frames.append((name, offset, length, plain))
            at += length
        need(at == len(data) - 48 - stored, f"{name}: frames end elsewhere than the footer begins")
        entries = [f.get("32sBBBBIIII") for _ in range(blob_count)]
        need(sum(e[4] for e in entries) == base_count, f"{name}: a wrong number of bases")
        for entry in entries:
            blob_id, kind, encoding, depth, count = entry[:5]
            bases = [f.take(16) for _ in range(count)]
            need(entry[7] < frame_count and kind in range(1, 6) and encoding < 3, f"{name}: a wrong footer entry")
            most = 0 if encoding < 2 or kind == CHUNK_NODE else 4 if kind == LEAF else 1
            need(count <= most and (encoding == 2) == (count > 0) == (0 < depth <= 32), f"{name}: wrong bases")
            self.blobs.setdefault((kind, blob_id), []).append((frames[entry[7]], entry, bases))
            self.prefixes.setdefault((kind, blob_id[:16]), {})[blob_id] = None
        f.end()

    def blob(self, kind, blob_id, above=()):
        """The canonical form: of the first copy that is good; §4. `above`: the blobs that stand on it."""
        name, why = f"blob {blob_id.hex()} of kind {kind}", "no pack has it"
        need(len(above) <= 32, f"{name}: deltas too deep")
        for copy in sorted(self.blobs.get((kind, blob_id), []), key=lambda copy: copy[1][3]):
            try:
                out = self.copy(*copy, name, (*above, blob_id))
                need(H(kind, out) == blob_id, f"{name} in {copy[0][0]}: its id is another")
                return out
            except Damage as e:
                why = str(e)
        raise Damage(f"{name}: {why}")

    def plain(self, frame):
        if frame not in self.frames:
            pack, at, length, plain = frame
            while sum(map(len, self.frames.values())) > 32 << 20:
                self.frames.pop(next(iter(self.frames)))
            self.frames[frame] = unzstd(self.bytes(pack, at, length), f"a frame of {pack}", plain)
        return self.frames[frame]

    def copy(self, frame, entry, bases, name, above):
        _, kind, encoding, _, count, canonical, encoded, _, offset = entry
        f = Fields(self.plain(frame)[offset:], name)
        need(f.get("BB") == (kind, encoding), f"{name}: frame and footer of {frame[0]} differ")
        if encoding == 2:
            need(f.get("B") == count and all(f.take(16) == base for base in bases), f"{name}: other bases in the frame")
        need(f.get("II") == (canonical, encoded) and canonical <= BLOB_MAX, f"{name}: other lengths, or too long")
        data = f.take(encoded)
        if encoding == 2:
            out = self.delta(kind, bases, data, canonical, name, above)
        else:
            out = data if encoding == 0 else from_columns(data, name)
        need(len(out) == canonical, f"{name}: wrong length")
        return out

    def delta(self, kind, bases, data, canonical, name, above):  # §4.3
        wholes = []
        for base in bases:
            ids = [i for i in self.prefixes.get((kind, base), []) if i not in above]
            need(len(ids) == 1, f"{name}: {len(ids)} blobs may be its base {base.hex()}")
            wholes.append(self.blob(kind, ids[0], above))
        if kind == LEAF:
            return deltas.leaf(wholes, data, name)
        return deltas.node(wholes[0], data, name) if kind == NODE else deltas.after(wholes[0], data, name, canonical)

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
    mark = manifest.get("restore")
    if mark is not None:
        need("before" in mark and ("of" in mark) != ("undoes" in mark), f"snapshots/{name}: of which restore?")
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
