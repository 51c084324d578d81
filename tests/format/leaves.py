"""Leaves of a larder store, from store-format.md alone: §8.1 to their rows, §8.2 to §8.5 to §8.1."""
import datetime, itertools, struct

SPILL_OVER, CANONICAL_MAX = 16_384, 64 << 20

class Damage(Exception):
    """What is wrong, and where."""

def need(good, text):
    if not good:
        raise Damage(text)

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

    def varint(self):
        out = 0
        for shift in range(0, 70, 7):
            byte = self.get("B")
            out |= (byte & 127) << shift
            if byte < 128:
                need(out < 1 << 64 and (byte or not shift), f"{self.what}: a wrong varint")
                return out
        raise Damage(f"{self.what}: a varint too long")

    def zigzag(self):
        n = self.varint()
        return (n >> 1) ^ -(n & 1)

    def end(self):
        need(self.at == len(self.data), f"{self.what}: bytes behind its end")

def signed(number):  # modulo 2^64, from -2^63
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)

def bits(data, width, count):  # lowest bits first
    return [byte >> at & (1 << width) - 1 for byte in data for at in range(0, 8, width)][:count]

def planes(f, count, widths):
    raw = [bits(f.take((count * w + 7) // 8), w, count) for w in widths]
    return [int.from_bytes(bytes(column), "little") for column in zip(*raw)] if widths else [0] * count

def integers(f, count):  # §8.3
    if not count:
        return []
    head = f.get("B")
    width, differences = head & 63, head >> 7
    need(width <= 32, f"{f.what}: unknown head of integers")
    first = [f.zigzag()] if differences else []
    base = f.zigzag()
    factor = f.varint() if head & 64 else 1
    widths = [8] * (width // 4) + ([1 << width % 4 - 1] if width % 4 else [])
    numbers = first + [base + u * factor for u in planes(f, count - differences, widths)]
    return [signed(n) for n in (itertools.accumulate(numbers) if differences else numbers)]

def reals(f, count):  # §8.4, as their 8 bytes
    digits = f.get("B") if count else 0
    need(digits <= 15 or digits == 255, f"{f.what}: unknown digits of reals")
    numbers = integers(f, count)
    return [struct.pack("<q", n) if digits == 255 else struct.pack("<d", float(n) / float(10 ** digits)) for n in numbers]

def timestamp(form, n):
    digits, day = form & 15, datetime.date.fromordinal
    need(form == 128 or form < 128 and digits <= 9 and form & 96 != 96, "unknown form of timestamps")
    seconds, fraction = (n * 86_400, 0) if form == 128 else divmod(n, 10 ** digits)
    days, second = divmod(seconds, 86_400)
    need(1 <= days + 719_163 <= 3_652_059, "a timestamp out of bounds")
    time = f"{'T' if form & 16 else ' '}{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    end = (f".{fraction:0{digits}}" if digits else "") + ("Z" if form & 32 else "+00:00" if form & 64 else "")
    return (day(days + 719_163).isoformat() + ("" if form == 128 else time + end)).encode()

def decimal(prefix, width, scale, n):
    digits = f"{abs(n):0{max(width, 1) + scale}}"
    whole, fraction = digits[:len(digits) - scale], digits[len(digits) - scale:]
    return prefix + ("-" * (n < 0) + whole + "." * (scale > 0) + fraction).encode()

def hexadecimal(f, count):
    upper, digits, letters = f.get("B"), f.varint(), f.varint()
    need(upper < 2 and max(digits, letters) <= SPILL_OVER, f"{f.what}: unknown form of hexadecimal texts")
    letters = [(f.varint(), f.take(1)) for _ in range(letters)]
    need(sum(gap for gap, _ in letters) <= digits, f"{f.what}: letters behind the digits")
    pairs = [f.take(count) for _ in range((digits + 1) // 2)]
    for row in range(count):
        text, at, out = bytes(p[row] for p in pairs).hex().encode()[:digits], 0, b""
        for gap, letter in letters:
            out, at = out + (text[at:at + gap].upper() if upper else text[at:at + gap]) + letter, at + gap
        yield out + (text[at:].upper() if upper else text[at:])

def texts(f, count, within=False):  # §8.5
    codec = f.get("B") if count else 0
    need(codec < 5 and not (within and codec == 1), f"{f.what}: unknown codec of texts")
    if codec == 0:
        lengths = integers(f, count)
        need(all(0 <= n <= SPILL_OVER for n in lengths), f"{f.what}: a length out of bounds")
        out = [f.take(n) for n in lengths]
    elif codec == 1:
        entry_count = f.varint()
        need(entry_count <= count, f"{f.what}: more entries than values")
        entries, numbers = texts(f, entry_count, True), integers(f, count)
        need(all(0 <= n < entry_count for n in numbers), f"{f.what}: no such entry")
        out = [entries[n] for n in numbers]
    elif codec == 2:
        form = f.get("B")
        out = [timestamp(form, n) for n in integers(f, count)]
    elif codec == 3:
        prefix, width, scale = f.take(f.varint()), f.varint(), f.varint()
        need(max(width, scale) <= 18, f"{f.what}: unknown form of numbers")
        out = [decimal(prefix, width, scale, n) for n in integers(f, count)]
    else:
        out = list(hexadecimal(f, count))
    need(max(map(len, out), default=0) <= SPILL_OVER and sum(map(len, out)) <= CANONICAL_MAX, f"{f.what}: too long")
    return out

def column(f, rows):  # §8.2: its canonical form
    head = f.get("B")
    if head == 255:
        classes = f.take(rows)
    elif head >= 128:
        classes = bytes((head & 7 if b else head - 128 >> 3) for b in bits(f.take((rows + 7) // 8), 1, rows))
    else:
        classes = bytes([head]) * rows
    need(max(classes, default=0) < 7, f"{f.what}: unknown class")
    count = classes.count
    numbers, values, long = integers(f, count(1)), reals(f, count(2)), texts(f, count(3) + count(4))
    spilled = [f.take(41) for _ in range(count(5) + count(6))]
    lengths = struct.pack(f"<{len(long)}I", *map(len, long))
    of = [iter(()), (struct.pack("<q", n) for n in numbers), iter(values), *[iter(long)] * 2, *[iter(spilled)] * 2]
    return classes + lengths + b"".join(next(of[c]) for c in classes if c)

def from_columns(data, what):  # §8.2
    f = Fields(data, what)
    rows, columns, mode = f.varint(), f.varint(), f.get("B")
    need(rows <= 65_536 and columns <= 32_767 and mode <= 2, f"{what}: too many rows or columns, or unknown rowid mode")
    offsets = [lambda: [], lambda: range(rows), lambda: integers(f, rows)][mode]()
    out = struct.pack("<IHB", rows, columns, mode > 0) + struct.pack(f"<{len(offsets)}q", *offsets)
    out += b"".join(column(f, rows) for _ in range(columns))
    f.end()
    return out

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
