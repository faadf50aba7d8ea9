"""A decoder as plain as possible, to judge the vectors and the core by; and the vectors' format.

It reads one byte after the other, so it knows after how many bytes an error shows.
"""

import re
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
NO_LIMIT = 0x7FFFFFFF

# Every true beginning of a character of more than one byte.
BEGINNINGS = {
    chr(code).encode()[:n]
    for code in range(0x80, 0x110000, 0x40)
    if not 0xD800 <= code <= 0xDFFF
    for n in range(1, len(chr(code).encode()))
}


class Vector(NamedTuple):
    """One line of the vectors file; events as decode() returns them."""

    name: str
    role: str
    limit: int
    wire: bytes
    events: list

    def line(self):
        """The line again, without repetitions."""
        return " | ".join((self.name, self.role, str(self.limit), self.wire.hex(),
                           "; ".join(map(event_text, self.events))))


def parse_hex(text):
    """The bytes that groups of hex digits stand for; 61*125 repeats the group 61."""
    data = b""
    for group in text.split():
        digits, _, count = group.partition("*")
        data += bytes.fromhex(digits) * int(count or 1)
    return data


def parse_event(text):
    """(kind, data), ("close", code, reason) or ("error", code, bytes until it shows)."""
    kind, _, rest = text.partition(" ")
    if kind == "error":
        code, at = re.fullmatch(r"(\d+) @(\d+)", rest).groups()
        return kind, int(code), int(at)
    if kind == "close":
        code, _, reason = rest.partition(" ")
        return kind, int(code), parse_hex(reason)
    if kind not in NAMES.values():
        raise ValueError(f"unknown event: {text}")
    return kind, parse_hex(rest)


def event_text(event):
    """The inverse of parse_event()."""
    kind, *rest = event
    if kind == "error":
        return "error {} @{}".format(*rest)
    return " ".join(x.hex() if isinstance(x, bytes) else str(x) for x in event).rstrip()


def parse_vectors(path):
    """All vectors of a file."""
    vectors = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, role, limit, wire, events = (field.strip() for field in line.split("|"))
            vectors.append(Vector(name, role, NO_LIMIT if limit == "-" else int(limit),
                                  parse_hex(wire),
                                  [parse_event(e.strip()) for e in events.split(";") if e]))
    return vectors


class Refused(Exception):
    """The argument is the close code."""


class Text:
    """A text that arrives byte by byte."""

    def __init__(self):
        self.unfinished = b""

    def add(self, byte):
        self.unfinished += bytes([byte])
        if self.unfinished not in BEGINNINGS:
            self.end()

    def end(self):
        try:
            self.unfinished.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(1007) from None
        self.unfinished = b""


def is_close_code(code):
    """May a close frame carry it? (§7.4)"""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def decode(role, limit, wire):
    """The events of a wire."""
    events = []
    at = 0
    opcode = None       # of the message in progress
    payload = text = None

    def number(size, top_bit_allowed=True):
        nonlocal at
        value = 0
        for i in range(size):
            if at == len(wire):
                raise EOFError
            value = value << 8 | wire[at]
            at += 1
            require(top_bit_allowed or i > 0 or value < 0x80)
        return value

    def require(condition, code=1002):
        if not condition:
            raise Refused(code)

    def control_frame(kind, length, key):
        require(kind != CLOSE or length != 1)
        data = b""
        reason = Text()
        for i in range(length):
            data += bytes([number(1) ^ key[i % 4]])
            if kind == CLOSE:
                require(i != 1 or is_close_code(int.from_bytes(data, "big")))
                if i > 1:
                    reason.add(data[i])
        reason.end()
        if kind == CLOSE:
            code = int.from_bytes(data[:2], "big") if data else 1005
            events.append(("close", code, data[2:]))
            raise EOFError      # whatever follows is ignored
        events.append((NAMES[kind], data))

    try:
        while True:
            first = number(1)
            kind = first & 0x7F         # no extension has a use for the RSV bits
            fin = first >= 0x80
            require(kind in NAMES or kind == CONTINUATION)
            if kind >= CLOSE:
                require(fin)
            else:
                require((kind == CONTINUATION) == (opcode is not None))

            second = number(1)
            length = second & 0x7F
            require((second >= 0x80) == (role == "server"))
            require(kind < CLOSE or length <= 125)
            if length == 126:
                length = number(2)
                require(length >= 126)
            elif length == 127:
                length = number(8, top_bit_allowed=False)
                require(length >= 65536)

            if kind in (TEXT, BINARY):
                opcode, payload, text = kind, bytearray(), Text()
            if kind < CLOSE:
                require(len(payload) + length <= limit, 1009)
            key = number(4).to_bytes(4, "big") if role == "server" else bytes(4)
            if kind >= CLOSE:
                control_frame(kind, length, key)
                continue

            for i in range(length):
                payload.append(number(1) ^ key[i % 4])
                if opcode == TEXT:
                    text.add(payload[-1])
            if fin:
                text.end()
                events.append((NAMES[opcode], bytes(payload)))
                opcode = None
    except EOFError:
        pass
    except Refused as refused:
        events.append(("error", refused.args[0], at))
    return events


def encode(first, payload, key=None):
    """A frame. first: its first byte; key: 4 bytes, if it is to be masked."""
    mask_bit = 0x80 if key else 0
    if len(payload) < 126:
        head = bytes([first, mask_bit | len(payload)])
    elif len(payload) < 65536:
        head = bytes([first, mask_bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        head = bytes([first, mask_bit | 127]) + len(payload).to_bytes(8, "big")
    if key:
        head += key
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return head + payload
