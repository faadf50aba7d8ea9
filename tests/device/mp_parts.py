"""Messages in parts: `Codec(..., parts)`, `part()`; and `pause()`."""

from helpers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    SEED,
    TEXT,
    Stream,
    frame,
)

from _wscore import Codec
from modwebsocket.events import CLIENT, PAUSED, SERVER

KEY = b"\x01\x02\x03\x04"
EURO = "€uro "


def make(role=CLIENT, rx_len=160, limit=1 << 20):
    return Codec(role, rx_len, 160, limit, SEED, True)


def parts(codec, stream):
    """All events: (event, data, offset, final) of messages, (event, data) of others."""
    got = []
    while True:
        event = codec.next()
        if event == TEXT or event == BINARY:
            data = codec.data()
            assert isinstance(data, bytes)
            got.append((event, data) + codec.part())
        elif event:
            got.append((event, codec.data() if event > 0 else None))
        if event < 0 or (event == 0 and not codec.fill(stream)):
            return got


def joined(got):
    """Checks the offsets and puts each message together: [(event, bytes)]."""
    messages = []
    data = b""
    for event, part, offset, final in got:
        assert offset == len(data), got
        data += part
        if final:
            messages.append((event, data))
            data = b""
    assert not data
    return messages


def test_parts_are_what_the_buffer_holds():
    for role in (CLIENT, SERVER):
        codec = make(role)
        data = bytes(range(250)) * 3
        got = parts(codec, Stream(frame(BINARY, data, KEY if role == SERVER else None)))
        assert joined(got) == [(BINARY, data)]
        assert max(len(p[1]) for p in got) <= 160


def test_parts_at_every_chunk_length():
    text = (EURO * 10).encode()
    wire = (
        frame(TEXT, text[:1], fin=False)
        + frame(PING, b"p")
        + frame(CONTINUATION, b"", fin=False)
        + frame(CONTINUATION, text[1:])
        + frame(BINARY, b"\0" * 70)
    )
    for chunk in range(1, 150, 3):
        got = parts(make(), Stream(wire, chunk=chunk))
        assert got.count((PING, b"p")) == 1
        assert joined([p for p in got if p[0] != PING]) == [(TEXT, text), (BINARY, b"\0" * 70)]


def test_empty_messages_are_one_part_each():
    wire = frame(TEXT) + frame(BINARY, fin=False) + frame(CONTINUATION)
    assert parts(make(), Stream(wire)) == [(TEXT, b"", 0, True), (BINARY, b"", 0, True)]


def test_text_is_checked_across_parts():
    euro = EURO.encode()
    cut = frame(TEXT, euro[:2], fin=False)
    assert parts(make(), Stream(cut + frame(CONTINUATION, euro[2:])))[-1] == (
        TEXT, euro[2:], 2, True)
    assert parts(make(), Stream(cut + frame(CONTINUATION)))[-1][0] == -1007
    assert parts(make(), Stream(cut + frame(CONTINUATION, b"x")))[-1][0] == -1007
    assert parts(make(), Stream(frame(TEXT, b"good" * 60 + b"\xff"), chunk=200))[-1][0] == -1007


def test_limit_counts_the_whole_message():
    wire = frame(BINARY, b"12345", fin=False) + frame(CONTINUATION, b"6789")
    assert parts(make(limit=9), Stream(wire))[-1] == (BINARY, b"6789", 5, True)
    assert parts(make(limit=8), Stream(wire))[-1][0] == -1009


def test_control_frames_stay_whole():
    wire = frame(CLOSE, b"\x03\xe8bye")
    assert parts(make(), Stream(wire, chunk=1)) == [(CLOSE, (1000, "bye"))]


def test_readinto_copies_a_part():
    codec = make()
    codec.fill(Stream(frame(BINARY, b"abc")))
    buf = bytearray(5)
    assert codec.next() == BINARY and codec.readinto(buf) == 3 and buf == b"abc\0\0"


def check_pause(codec):
    got = []

    def handler(opcode, data):
        got.append(data)
        if len(got) % 2 == 0:
            codec.pause(True)

    codec.deliver(handler, None, 2)
    stream = Stream(b"".join(frame(BINARY, bytes((i,))) for i in range(5)))
    assert codec.serve(stream) == PAUSED and got == [b"\0", b"\1"]
    stream.data = frame(BINARY, b"unread")
    assert codec.serve(stream) == 0 and len(got) == 2 and stream.data
    codec.pause(False)
    assert codec.serve(None) == PAUSED and len(got) == 4
    codec.pause(True)
    codec.pause(False)
    assert codec.serve(None) == 0 and got == [bytes((i,)) for i in range(5)]


def test_pause_stops_behind_the_message_whose_handler_asks():
    check_pause(Codec(CLIENT, 160, 160, 1000, SEED))
    check_pause(make())


def test_pause_hides_no_error():
    codec = Codec(CLIENT, 160, 160, 1000, SEED)
    codec.fill(Stream(b"\x8f\0"))
    assert codec.next() == -1002
    codec.pause(True)
    assert codec.next() == -1002
    codec.pause(False)
    assert codec.next() == -1002
