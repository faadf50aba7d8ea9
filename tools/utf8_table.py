"""Make modwebsocket/wscore/utf8_table.h, the automaton behind ws_utf8().

    python3 tools/utf8_table.py           search, prove, write the header
    python3 tools/utf8_table.py --check   search, prove, fail if the header is stale

A state is the position (in bits) of a 5-bit field inside a 32-bit row, the row is chosen by
the byte, the field holds the next state: one shift a byte.  Nine states of five bits do not
fit side by side, so the positions are searched such that fields which overlap agree.
"""

import sys
from pathlib import Path

HEADER = Path(__file__).resolve().parent.parent / "modwebsocket/wscore/utf8_table.h"

# States: whole character, reject, 1-3 continuation bytes to come, and the lead bytes after
# which the first continuation byte is restricted (RFC 3629, section 4).
STATES = ACCEPT, REJECT, NEED1, NEED2, NEED3, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4 = range(9)

# First byte of each class of bytes, and where its bytes lead; everything else leads to REJECT.
CLASSES = {
    0x00: {ACCEPT: ACCEPT},
    0x80: {NEED1: ACCEPT, NEED2: NEED1, NEED3: NEED2, AFTER_ED: NEED1, AFTER_F4: NEED2},
    0x90: {NEED1: ACCEPT, NEED2: NEED1, NEED3: NEED2, AFTER_ED: NEED1, AFTER_F0: NEED2},
    0xA0: {NEED1: ACCEPT, NEED2: NEED1, NEED3: NEED2, AFTER_E0: NEED1, AFTER_F0: NEED2},
    0xC0: {},
    0xC2: {ACCEPT: NEED1},
    0xE0: {ACCEPT: AFTER_E0},
    0xE1: {ACCEPT: NEED2},
    0xED: {ACCEPT: AFTER_ED},
    0xEE: {ACCEPT: NEED2},
    0xF0: {ACCEPT: AFTER_F0},
    0xF1: {ACCEPT: NEED3},
    0xF4: {ACCEPT: AFTER_F4},
    0xF5: {},
}
FIELD = 31


def row_of(steps, at):
    """Return one row for the states placed so far, or None if two fields contradict."""
    row = known = 0
    for state, shift in at.items():
        goal = steps.get(state, REJECT)
        if goal in at:
            mask = FIELD << shift
            if (row ^ at[goal] << shift) & known & mask:
                return None
            row |= at[goal] << shift
            known |= mask
    return row


def place(at, rest):
    """Return the first placement {state: shift in bits} of the states in rest, or None."""
    if not rest:
        return at
    for shift in range(32 - FIELD.bit_length() + 1):
        if shift not in at.values():
            trial = {**at, rest[0]: shift}
            if all(row_of(steps, trial) is not None for steps in CLASSES.values()):
                found = place(trial, rest[1:])
                if found:
                    return found
    return None


def rows_of(at):
    """Return the 256 rows."""
    rows = []
    for byte in range(256):
        first = max(start for start in CLASSES if start <= byte)
        rows.append(row_of(CLASSES[first], at))
    return rows


def decodes(data):
    """Return True if Python's strict decoder takes data as whole characters."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def prove(rows, at):
    """Compare with Python's decoder: every code point, every sequence that may differ.

    The machine is walked over all sequences of up to 4 bytes, one byte of each class (and
    each class's last byte) standing for the class; the rows of a class are equal.
    """

    def run(data, state):
        for byte in data:
            state = rows[byte] >> (state & FIELD)
        return state & FIELD

    for code in range(0x110000):
        good = not 0xD800 <= code < 0xE000
        data = chr(code).encode("utf-8", "surrogatepass")
        if (run(data, at[ACCEPT]) == at[ACCEPT]) != good:
            raise SystemExit("code point %#x" % code)

    starts = sorted(CLASSES)
    edges = starts + [after - 1 for after in starts[1:]] + [0xFF]
    endings = [bytes.fromhex(tail) for tail in ("", "80", "8080", "808080", "a080", "908080")]

    def walk(data):
        state = run(data, at[ACCEPT])
        if (state == at[ACCEPT]) != decodes(data):
            raise SystemExit("sequence %s" % data.hex())
        if (state != at[REJECT]) != any(decodes(data + tail) for tail in endings):
            raise SystemExit("prefix %s" % data.hex())
        if len(data) < 4 and state != at[REJECT]:
            for byte in edges:
                walk(data + bytes([byte]))

    walk(b"")
    if any(run(bytes([byte]), at[REJECT]) != at[REJECT] for byte in range(256)):
        raise SystemExit("reject does not absorb")


def text_of(rows, at):
    """Return the header file."""
    def words(some):
        for i in range(0, len(some), 8):
            lines.append("    " + " ".join("0x%08x," % row for row in some[i:i + 8]))
        lines.append("};")

    lines = [
        "// made by tools/utf8_table.py: do not edit.",
        "#define UTF8_ACCEPT (%d)" % at[ACCEPT],
        "#define UTF8_REJECT (%d)" % at[REJECT],
        "",
        "#if WS_SMALL",
        "",
        "// Of continuation bytes by their upper half, and of lead bytes from 0xe0 on.",
        "static const uint32_t utf8_rows[] = {",
    ]
    words(rows[0x80:0xC0:16] + rows[0xE0:0xF5])
    lines += [
        "",
        "static inline uint32_t utf8_row(uint32_t byte) {",
        "    if (byte < 0x80) {",
        "        return 0x%08x;" % rows[0],
        "    }",
        "    if (byte < 0xc0) {",
        "        return utf8_rows[byte >> 4 & 3];",
        "    }",
        "    if (byte < 0xe0) {",
        "        return byte < 0xc2 ? 0 : 0x%08x;" % rows[0xC2],
        "    }",
        "    return byte < 0xf5 ? utf8_rows[byte - 0xdc] : 0;",
        "}",
        "",
        "#else",
        "",
        "static const uint32_t utf8_table[256] = {",
    ]
    words(rows)
    lines += [
        "",
        "#define utf8_row(byte) utf8_table[byte]",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def main(arguments):
    """Write the header, or check it; return the exit status."""
    at = place({}, list(STATES))
    if at is None:
        raise SystemExit("no placement of the states exists")
    rows = rows_of(at)
    prove(rows, at)
    text = text_of(rows, at)
    if arguments == ["--check"]:
        if not HEADER.exists() or HEADER.read_text() != text:
            print("%s is stale: run tools/utf8_table.py" % HEADER)
            return 1
        return 0
    if arguments:
        print(__doc__)
        return 2
    HEADER.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
