"""Feeds the vectors (their format: tests/vectors) to `_wscore.Codec` inside MicroPython.

    micropython mp_vectors.py tests/vectors [longest wire, bytes]

Each vector runs whole, byte by byte, in pieces of other sizes and split in two anywhere, with
receive buffers of different sizes.  Then every event is sent by a second Codec and must come back.
A board with little memory leaves out the long wires.
"""

import io
import sys
from binascii import hexlify, unhexlify

import _wscore
from modwebsocket.url import partition

_CLIENT = 0
_SERVER = 1
_FIN = 0x80
_CLOSE = 8
_OPCODES = {"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

_NO_LIMIT = 0x7FFFFFFF
_RX_LENS = (139, 1024)  # the smallest receive buffer, the usual one
_TX_LEN = 142
_SEED = bytes(range(20))
_EDGE = 24              # a wire of more than 8 edges is split only near its ends
_REPORTED = 20

checks = failures = 0


def check(ok, *what):
    """Count, and print what failed."""
    global checks, failures
    checks += 1
    if not ok:
        failures += 1
        if failures <= _REPORTED:
            print("FAIL", *what)


# --- The file


def parse_hex(text):
    data = b""
    for group in text.split():
        digits, _, count = partition(group, "*")
        data += unhexlify(digits) * int(count or 1)
    return data


def hex_len(text):
    """The length of what parse_hex() makes of it."""
    n = 0
    for group in text.split():
        digits, _, count = partition(group, "*")
        n += len(digits) // 2 * int(count or 1)
    return n


def parse_event(text):
    """(opcode, data), (8, code, reason) or ("error", code, at)."""
    kind, _, rest = partition(text.strip(), " ")
    if kind == "error":
        code, _, at = partition(rest, " @")
        return kind, int(code), int(at)
    if kind == "close":
        code, _, reason = partition(rest, " ")
        return _CLOSE, int(code), parse_hex(reason)
    return _OPCODES[kind], parse_hex(rest)


def vectors(path, wire_max):
    """Yield (name, role, limit, wire, events) of every line without a longer wire."""
    with open(path) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                name, role, limit, wire, events = (field.strip() for field in line.split("|"))
                if hex_len(wire) > wire_max:
                    continue
                yield (
                    name,
                    _SERVER if role == "server" else _CLIENT,
                    _NO_LIMIT if limit == "-" else int(limit),
                    parse_hex(wire),
                    [parse_event(event) for event in events.split(";") if event],
                )


# --- One run


def take(codec, opcode, name, buf):
    """The event that next() just returned, as parse_event() gives it."""
    if opcode == _CLOSE:
        code, reason = codec.data()
        return opcode, code, bytes(reason, "utf-8")
    n = codec.readinto(buf)
    data = codec.data()
    check(isinstance(data, str if opcode == 1 else bytes), name, "type", type(data))
    if opcode == 1:
        data = bytes(data, "utf-8")
    check(memoryview(buf)[:n] == data, name, "readinto() differs from data()")
    return opcode, data


def feed(codec, piece, name, events, buf):
    """Fill from a stream that holds one piece; returns minus the close code of an error, or 0."""
    stream = io.BytesIO(piece)
    while codec.fill(stream):
        while True:
            event = codec.next()
            if event <= 0:
                break
            events.append(take(codec, event, name, buf))
        if event < 0:
            check(codec.next() == event, name, "the error is not sticky")
            return event
    return 0


def run(vector, sizes, rx_len):
    """Feed pieces of the given sizes, the last one repeated to the end of the wire."""
    name, role, limit, wire, expected = vector
    codec = _wscore.Codec(role, rx_len, _TX_LEN, limit, _SEED)
    buf = bytearray(len(wire))
    view = memoryview(wire)
    events = []
    at = turn = 0
    while at < len(wire):
        size = sizes[min(turn, len(sizes) - 1)]
        end = min(at + size, len(wire))
        error = feed(codec, view[at:end], name, events, buf)
        if error:
            # In the piece that holds the byte which makes the input wrong.
            at_expected = expected[-1][2] if expected and expected[-1][0] == "error" else 0
            on_time = at < at_expected <= end
            events.append(("error", -error, at_expected if on_time else end))
            break
        at = end
        turn += 1
    check(events == expected, name, "pieces", sizes, "rx_len", rx_len)
    if events != expected and failures <= _REPORTED:
        print("    expected", shown(expected))
        print("    decoded ", shown(events))


def shown(events):
    """Events cut to a readable length."""
    return [
        tuple(hexlify(x[:20]) if isinstance(x, bytes) else x for x in event) for event in events
    ]


def run_all_ways(vector):
    wire_len = len(vector[3])
    for rx_len in _RX_LENS:
        for size in (wire_len, 1, 2, 3, 7, 64):
            run(vector, (size,), rx_len)
    for split in range(1, wire_len):
        if _EDGE <= split <= wire_len - _EDGE and wire_len > 8 * _EDGE:
            continue
        run(vector, (split, wire_len), _RX_LENS[split & 1])


# --- And back


def send_back(name, event, role):
    """Send an event as the peer of `role` and receive it."""
    opcode = event[0]
    payload = event[-1]
    if opcode == _CLOSE and event[1] != 1005:
        payload = bytes((event[1] >> 8, event[1] & 255)) + payload
    peer = _wscore.Codec(1 - role, 139, _TX_LEN, _NO_LIMIT, _SEED)
    check(peer.frame(_FIN | opcode, payload), name, "frame() refused an event")
    stream = io.BytesIO()
    check(peer.flush(stream) == 0, name, "flush() left something")
    check(peer.pending() == 0, name, "pending() after flush()")
    wire = stream.getvalue()
    # A client masks: the payload must not be on the wire as it is (8 bytes: a chance of 2^-32).
    if role == _SERVER and len(payload) >= 8:
        check(payload not in wire, name, "not masked")
    run(("sent again: " + name, role, _NO_LIMIT, wire, [event]), (len(wire),), 1024)


def main(path, wire_max=1 << 30):
    """Run a vectors file; returns the exit status."""
    ran = 0
    for vector in vectors(path, wire_max):
        name, _, _, _, events = vector
        run_all_ways(vector)
        for event in events:
            if event[0] != "error":
                send_back(name, event, _CLIENT)
                send_back(name, event, _SERVER)
        ran += 1
    check(ran != 0, "no vector in", path)
    print(ran, "vectors")
    print(f"{checks} checks, {failures} failed")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *(int(arg) for arg in sys.argv[2:3])))
