"""Lets the core in C and the one in Python do the same, at random, and compares all they say.

    micropython same.py _wscore.py SEED ROUNDS [FILE...]

Each round: bytes that are frames, mostly, in chunks of any length; both ends of both roles, by
next() or serve(), whole or in parts; and what is sent, to a stream that takes as it likes. The
files are bytes to receive, too.
"""

import random
import sys

from helpers import FIN, SEED, Broken, Stream, frame, frames

import _wscore as in_c

KEY = b"\x9a\x01\xff\x40"
NO_LIMIT = 0x7FFFFFFF
PIECES = (
    b"", b"a", b"\0", b"plain text ", b"\xc3\xa4", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80",
    b"\xed\x9f\xbf", b"\xf4\x8f\xbf\xbf", b"\xe0\xa0\x80", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf5\x80", b"\xff", b"\x80",
    b"\xe2\x82", b"\xf0\x9f", b"\xc3", b"\xf8\x88\x80\x80\x80",
)
CODES = (0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000, 65535)


def below(n):
    return random.getrandbits(24) % n


def one_of(things):
    return things[below(len(things))]


def payload(good):
    n = below(6)
    if n == 0:
        return bytes(below(256) for _ in range(one_of((1, 2, 124, 125, 126, 139, 140, 300))))
    if n == 1:
        return b"x" * one_of((1, 125, 126, 160, 700, 70000 if below(20) == 0 else 10))
    pieces = PIECES[:10] if good else PIECES
    return b"".join(one_of(pieces) for _ in range(below(12)))


def wire(key):
    """Frames; every third time something in them is wrong."""
    good = below(3) != 0
    data = b""
    fragments = False
    for _ in range(1 + below(6)):
        opcode = one_of((1, 1, 1, 2, 2, 9, 10, 8 if below(4) == 0 else 1))
        body = payload(good)
        fin = True
        if opcode == 8 and below(5):
            code = one_of(CODES if not good else (1000, 1001, 3000))
            body = bytes((code >> 8, code & 255)) + body
        if opcode >= 8:
            body = body[:125]
        else:
            fin = below(3) != 0
            if fragments:
                opcode = 0
            fragments = not fin
        data += frame(opcode, body, key, fin)
    if not good and data and below(2):
        at = below(len(data))
        data = data[:at] + bytes((data[at] ^ 1 << below(8),)) + data[at + 1 :]
    return data


def said(function, *args):
    """What a call returned, or its exception's kind."""
    try:
        return function(*args)
    except (OSError, TypeError, ValueError) as e:
        return type(e), e.errno if isinstance(e, OSError) else None


class Reader:
    """A codec that receives, one chunk after the other."""

    def __init__(self, core, options):
        role, rx_len, limit, self.parts, self.short, self.pause, self.buffered = options
        self.codec = core.Codec(role, rx_len, 160, limit, SEED, self.parts)
        self.got = []
        self.message = b""  # of the parts so far
        if self.buffered:
            self.codec.buffered(True)
        if self.short:
            self.codec.deliver(self.on_message, None, 2)
            self.out = Stream()
            self.codec.attach(self.out)

    def add(self, event, data):
        # The one in Python has less room while a header is incomplete: parts may be cut elsewhere.
        if not self.parts:
            self.got.append((event, data))
            return
        offset, final = self.codec.part()
        assert offset == len(self.message)
        self.message += data
        if final:
            self.got.append((event, self.message))
            self.message = b""

    def on_message(self, opcode, data):
        self.add(opcode, data)
        if self.pause and len(self.got) % 2:
            self.codec.pause(True)

    def take(self, event):
        data = self.codec.data()
        buf = bytearray(70100)
        n = self.codec.readinto(buf)
        copied = bytes(buf[:n])
        assert event == 8 or copied == (data.encode() if isinstance(data, str) else data)
        if event <= 2:
            self.add(event, data)
        else:
            self.got.append((event, data, copied))

    def fail(self, event):
        if self.got[-1:] != [event]:  # it is sticky
            self.got.append(event)

    def feed(self, chunk):
        codec = self.codec
        stream = Stream(chunk)
        got_all = False
        for _ in range(20000):
            if self.short:
                event = codec.serve(stream)
                assert not codec.calling()
                if event < 0 and event != -5:
                    self.fail(event)
                if event == 16:
                    codec.pause(False)
                elif event > 0:
                    self.take(event)
                elif event == 0 and not stream.data:
                    return
            else:
                event = codec.next()
                if event > 0:
                    self.take(event)
                else:
                    if event:
                        self.fail(event)
                    codec.fill(stream)
                    if not stream.data and got_all:
                        return
                    got_all = not stream.data
        raise AssertionError("it hangs")


def receive(in_python, role, data):
    options = (
        role, one_of((139, 140, 200, 1024)), one_of((NO_LIMIT, NO_LIMIT, 100, 0)),
        below(4) == 0, below(2) == 1, below(4) == 0, below(4) == 0,
    )
    sizes = [one_of((1, 2, 3, 7, 60, 139, 1000, 100000)) for _ in range(1 + below(4))]
    one, other = Reader(in_c, options), Reader(in_python, options)
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        one.feed(data[at : at + size])
        other.feed(data[at : at + size])
        assert one.got == other.got, (options, sizes, at, data[:200], one.got[-3:], other.got[-3:])
        at += size
        turn += 1
    if one.short:
        assert unmasked(one.out.written) == unmasked(other.out.written), (options, sizes, data)


def unmasked(written):
    return [(first, key is None, data) for first, key, data in frames(written)]


def message():
    kind = below(5)
    data = payload(below(3) != 0)
    if kind == 0:
        return bytearray(data)
    if kind == 1:
        return memoryview(data)
    if kind == 2:
        try:
            return data.decode()
        except UnicodeError:
            return "plain"
    return data if below(30) else None


def send(in_python, role):
    tx_len = one_of((142, 160, 536))
    codecs = [core.Codec(role, 139, tx_len, 100, SEED) for core in (in_c, in_python)]
    streams = Stream(), Stream()
    for _ in range(20):
        action = below(6)
        data = message()
        opcode = one_of((1, 1, 2, 9, 10, 8, 0, 3, 11, 16))
        chunk, room = 1 + below(300), one_of((0, 10, 100, 1 << 30))
        for stream in streams:
            stream.chunk = chunk
            stream.room = room
        broken = below(4) == 0
        answers = []
        for core, codec, stream in zip((in_c, in_python), codecs, streams):  # noqa: B905
            if action == 0:
                codec.attach(stream)
            if action <= 1:
                answer = said(codec.send, data, opcode)
            elif action <= 3:
                answer = said(codec.frame, opcode | FIN, data)
            elif action == 4:
                answer = said(core.check, opcode | FIN, data)
            else:
                answer = codec.flush(Broken() if broken else stream)
            answers.append((answer, codec.pending()))
        if isinstance(data, memoryview) and answers[0] != answers[1]:
            return  # the one in Python copies what the other refers to
        assert answers[0] == answers[1], (role, tx_len, action, opcode, data, answers)
    for codec, stream in zip(codecs, streams):  # noqa: B905
        stream.room = stream.chunk = 1 << 30
        codec.flush(stream)
    one, other = (unmasked(stream.written) for stream in streams)
    assert one == other, (role, tx_len)


def main(path, seed, rounds, *files):
    names = {"__name__": "in_python"}
    with open(path) as file:
        exec(file.read(), names)  # an import would give the one in C
    in_python = type("core", (), {})
    for name in ("Codec", "mask", "check", "accept", "call"):
        setattr(in_python, name, names[name])
    assert in_c.native and not names["native"]
    random.seed(int(seed))
    for _ in range(int(rounds)):
        role = below(2)
        receive(in_python, role, wire(KEY if role else None))
        send(in_python, below(2))
        data = payload(False)
        masked = [bytearray(data), bytearray(data)]
        offset = below(1 << 20)
        key = (data + KEY)[:4]
        in_c.mask(masked[0], key, offset)
        in_python.mask(masked[1], key, offset)
        assert masked[0] == masked[1]
        assert in_c.accept(data) == in_python.accept(data)
    for name in files:
        with open(name, "rb") as file:
            data = file.read()
        for role in (0, 1):
            receive(in_python, role, data)
    print("the same")


main(*sys.argv[1:])
