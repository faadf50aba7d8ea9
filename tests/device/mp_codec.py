"""`_wscore`: the codec of both roles over streams that take and give as they like."""

import io
import random
from errno import EIO, ENOBUFS

import micropython
from helpers import (
    ACCEPT,
    BINARY,
    CLOSE,
    FIN,
    KEY,
    PING,
    PONG,
    SEED,
    TEXT,
    Broken,
    Stream,
    fits,
    frame,
    frames,
    mask,
    raises,
)

import _wscore

CLIENT = 0
SERVER = 1
ROLES = (CLIENT, SERVER)
RX_MIN = 139
TX_MIN = 142
NO_LIMIT = 0x7FFFFFFF
EBUSY = 16  # not in every port's errno
PEER_KEY = b"\x11\x22\x33\x44"
WAITS = -1  # of send(): taken, not yet written
NOT_TAKEN = -2
END = -3  # of serve()
FLUSH = -4
MORE = -5


def codec(role=CLIENT, rx_len=RX_MIN, tx_len=TX_MIN, limit=NO_LIMIT, seed=SEED):
    return _wscore.Codec(role, rx_len, tx_len, limit, seed)


def peer_key(role):
    """The masking key of what the other end of `role` sends."""
    return PEER_KEY if role == SERVER else None


def fed(role, wire, **kwargs):
    """A codec that has read wire."""
    c = codec(role, **kwargs)
    assert c.fill(io.BytesIO(wire)) == len(wire)
    return c


def sent(c, chunk=1 << 30):
    """The frames that c has to write."""
    stream = Stream(chunk=chunk)
    assert c.flush(stream) == 0
    assert c.pending() == 0
    return frames(stream.written)


# --- Construction and functions


def test_constructor_checks_its_arguments():
    for args in (
        (2, RX_MIN, TX_MIN, 0, SEED),
        (-1, RX_MIN, TX_MIN, 0, SEED),
        (0, RX_MIN - 1, TX_MIN, 0, SEED),
        (0, -RX_MIN, TX_MIN, 0, SEED),
        (0, RX_MIN, TX_MIN - 1, 0, SEED),
        (0, RX_MIN, TX_MIN, -1, SEED),
        (0, RX_MIN, TX_MIN, 0x80000000, SEED),
        (0, RX_MIN, TX_MIN, 0, SEED[1:]),
        (0, RX_MIN, TX_MIN, 0, SEED + b"x"),
        (0, RX_MIN, TX_MIN, 0, b""),
    ):
        # Small boards say that they have no integer so great.
        raises((ValueError, OverflowError), _wscore.Codec, *args)
    for args in (
        (),
        (0, RX_MIN, TX_MIN, 0),
        (0, RX_MIN, TX_MIN, 0, SEED, 0, 0),
        ("0", RX_MIN, TX_MIN, 0, SEED),
        (0, None, TX_MIN, 0, SEED),
        (0, RX_MIN, b"", 0, SEED),
        (0, RX_MIN, TX_MIN, None, SEED),
        (0, RX_MIN, TX_MIN, 0, None),
        (0, RX_MIN, TX_MIN, 0, 20),
    ):
        raises(TypeError, _wscore.Codec, *args)


def test_constructor_takes_no_limit_above_32_bits_for_a_small_one():
    raises((ValueError, OverflowError), _wscore.Codec, 0, RX_MIN, TX_MIN, 1 << 32, SEED)
    raises((ValueError, OverflowError), _wscore.Codec, 1 << 32, RX_MIN, TX_MIN, 0, SEED)


def test_mask_is_the_rfc_one_at_any_offset():
    for size in (0, 1, 3, 4, 5, 31, 64, 100):
        data = bytes((i * 7) & 255 for i in range(size))
        for offset in range(9):
            buf = bytearray(data)
            _wscore.mask(buf, PEER_KEY, offset)
            assert buf == mask(b"\0" * offset + data, PEER_KEY)[offset:]


def test_mask_checks_its_arguments():
    raises(TypeError, _wscore.mask, b"immutable", PEER_KEY, 0)
    raises(TypeError, _wscore.mask, "str", PEER_KEY, 0)
    raises(TypeError, _wscore.mask, 5, PEER_KEY, 0)
    raises(TypeError, _wscore.mask, bytearray(1), None, 0)
    raises(TypeError, _wscore.mask, bytearray(1), PEER_KEY, "0")
    raises(ValueError, _wscore.mask, bytearray(1), b"123", 0)
    raises(ValueError, _wscore.mask, bytearray(1), b"12345", 0)


def test_accept_is_the_rfc_example():
    assert _wscore.accept(KEY) == ACCEPT
    raises(TypeError, _wscore.accept, None)


def test_check_returns_the_length_in_bytes():
    assert _wscore.check(FIN | TEXT, "") == 0
    assert _wscore.check(FIN | TEXT, "\u20ac") == 3
    assert _wscore.check(FIN | BINARY, bytearray(b"\xff\xfe")) == 2
    assert _wscore.check(FIN | PING, memoryview(b"x" * 125)) == 125


BAD_TEXTS = (
    b"\xff", b"\x80", b"a\xc3", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80",
    b"\xf4\x90\x80\x80", b"\xf0\x9f\x98", bytearray(b"\xe2\x82"), memoryview(b"\xfe"),
    chr(0xD800), "ok" + chr(0xDFFF),
)


def test_frame_and_check_refuse_what_no_frame_may_hold():
    c = codec()
    for function in (_wscore.check, c.frame):
        for opcode in (3, 7, 11, 15, 16, 0x21, 0x41, 0x71, 0x101, -1, -128, 1 << 20):
            raises(ValueError, function, opcode if opcode < 0 else FIN | opcode, b"")
        for text in BAD_TEXTS:
            raises(ValueError, function, FIN | TEXT, text)
        for opcode in (CLOSE, PING, PONG):
            assert function(FIN | opcode, b"x" * 125)
            sent(c)
            raises(ValueError, function, FIN | opcode, b"x" * 126)
        for data in (None, 5, 1.5, [1], (1,), {}, object()):
            raises(TypeError, function, FIN | BINARY, data)
        for opcode in (None, "1", 1.5, b"\x81"):
            raises(TypeError, function, opcode, b"")
    assert c.pending() == 0
    raises(TypeError, c.frame, FIN | TEXT)
    raises(TypeError, c.write, None)


# --- Receiving


def test_fill_tells_bytes_end_and_nothing_there():
    for role in ROLES:
        c = codec(role)
        assert c.fill(Stream(b"12345")) == 5
        assert c.fill(Stream(b"")) is None
        assert c.fill(Stream(b"", ended=True)) == 0
        assert raises(OSError, c.fill, Broken()).errno == 5
        assert c.fill(Stream(b"x" * 1000)) == RX_MIN - 5
        assert raises(OSError, c.fill, Stream(b"x")).errno == ENOBUFS
        assert c.read() == b"12345" + b"x" * (RX_MIN - 5)


def test_fill_and_flush_refuse_what_is_no_stream_or_lies():
    class Liar(io.IOBase):
        def readinto(self, buf):
            return 100000

        write = readinto

    c = codec()
    c.write(b"x")
    assert raises(OSError, c.fill, Liar()).errno == EIO
    assert c.flush(Liar()) == EIO
    for thing in (None, 5, "text", object()):
        raises((OSError, TypeError), c.fill, thing)
        raises((OSError, TypeError), c.flush, thing)
    assert c.pending() == 1


def test_readline_gives_lines_without_their_end():
    c = codec()
    c.fill(Stream(b"one\r\ntwo\n\r\n\r"))
    assert c.readline() == b"one"
    assert c.readline() == b"two"
    assert c.readline() == b""
    assert c.readline() is None
    c.fill(Stream(b"\nth\rree\r"))
    assert c.readline() == b""
    assert c.readline() is None
    c.fill(Stream(b"\n\x81\x02hi"))
    assert c.readline() == b"th\rree"
    # What follows the handshake in the same segment is a frame.
    assert c.next() == TEXT and c.data() == "hi"


def test_readline_refuses_a_line_longer_than_the_buffer():
    c = codec()
    c.fill(Stream(b"short\n" + b"x" * (RX_MIN - 6)))
    assert c.readline() == b"short"
    assert c.readline() is None
    c.fill(Stream(b"x" * 5))
    assert c.readline() is None
    c.fill(Stream(b"x"))
    raises(ValueError, c.readline)
    c = codec()
    c.fill(Stream(b"x" * (RX_MIN - 1) + b"\n"))
    assert c.readline() == b"x" * (RX_MIN - 1)


def test_read_takes_all_that_is_unread():
    c = codec()
    assert c.read() == b""
    c.fill(Stream(b"line\r\nbody"))
    c.readline()
    assert c.read() == b"body"
    assert c.read() == b""


def test_events_carry_their_payload():
    for role in ROLES:
        key = peer_key(role)
        c = fed(role, frame(TEXT, "\u20ac".encode(), key) + frame(BINARY, b"\0\xff", key)
                + frame(PING, b"pi", key) + frame(PONG, b"", key) + frame(TEXT, b"", key)
                + frame(CLOSE, b"\x03\xe8bye", key))
        for event, data in (
            (TEXT, "\u20ac"), (BINARY, b"\0\xff"), (PING, b"pi"), (PONG, b""), (TEXT, ""),
            (CLOSE, (1000, "bye")),
        ):
            assert c.next() == event
            assert c.data() == data and type(c.data()) is type(data)
        assert c.next() == 0


def test_close_without_payload_is_1005():
    for role in ROLES:
        c = fed(role, frame(CLOSE, b"", peer_key(role)))
        assert c.next() == CLOSE and c.data() == (1005, "")


def test_data_after_close_frame_is_ignored():
    for role in ROLES:
        key = peer_key(role)
        c = fed(role, frame(CLOSE, b"", key) + frame(TEXT, b"late", key))
        assert c.next() == CLOSE
        assert c.next() == 0


def test_data_and_readinto_agree_as_often_as_called():
    for role in ROLES:
        key = peer_key(role)
        # Out of the receive buffer, straight into a block of its own, reassembled.
        for wire, payload in (
            (frame(BINARY, b"small", key), b"small"),
            (frame(BINARY, b"large" * 100, key), b"large" * 100),
            (frame(BINARY, b"frag", key, False) + frame(0, b"ments", key), b"fragments"),
        ):
            c = codec(role)
            stream = Stream(wire)
            while c.next() == 0:
                c.fill(stream)
            buf = bytearray(600)
            assert c.readinto(buf) == len(payload)
            assert buf[: len(payload)] == payload
            assert c.data() == payload
            assert c.data() == payload, "the second data()"
            assert c.readinto(buf) == len(payload), "readinto() behind data()"


def test_what_data_gave_stays_when_more_arrives():
    for size in (5, 100, 500):
        c = codec()
        kept = []
        for i in range(5):
            payload = bytes((65 + i,)) * size
            stream = Stream(frame(TEXT, payload))
            while c.next() == 0:
                c.fill(stream)
            kept.append((c.data(), payload.decode()))
        for got, expected in kept:
            assert got == expected


def test_text_made_by_hand_is_a_str_like_any_other():
    c = fed(CLIENT, frame(TEXT, b"key"))
    assert c.next() == TEXT
    text = c.data()
    assert {"key": 1}[text] == 1 and hash(text) == hash("key") and text + "s" == "keys"
    assert getattr({}, "key" + "s") and text.encode() == b"key"


def test_readinto_refuses_a_small_or_immutable_buffer():
    c = fed(CLIENT, frame(BINARY, b"12345"))
    assert c.next() == BINARY
    raises(ValueError, c.readinto, bytearray(4))
    raises(TypeError, c.readinto, b"12345")
    raises(TypeError, c.readinto, None)
    buf = bytearray(8)
    assert c.readinto(memoryview(buf)[3:]) == 5
    assert buf == b"\0\0\x0012345"


def test_before_any_event_there_is_no_data():
    c = codec()
    assert c.next() == 0
    assert c.data() == b"" and c.readinto(bytearray(0)) == 0


def test_errors_are_sticky_and_drop_what_follows():
    for role in ROLES:
        key = peer_key(role)
        for wire, error in (
            (b"\xf1\x00", -1002),
            (frame(TEXT, b"\xff", key), -1007),
            (frame(TEXT, b"x" * 101, key), -1009),
            (frame(BINARY, b"x" * 60, key, False) + frame(0, b"x" * 41, key), -1009),
            (frame(TEXT, b"", None if key else PEER_KEY), -1002),
            (frame(CLOSE, b"\x03", key), -1002),
            (frame(CLOSE, b"\x03\xed", key), -1002),
        ):
            c = codec(role, limit=100)
            stream = Stream(frame(TEXT, b"good", key) + wire + frame(TEXT, b"lost", key) * 100)
            c.fill(stream)
            assert c.next() == TEXT and c.data() == "good"
            for _ in range(3):
                assert c.next() == error
                assert c.data() == b"" and c.readinto(bytearray(0)) == 0
            while c.fill(stream):
                assert c.next() == error
            # The other direction lives on: a close frame must go out.
            assert c.frame(FIN | CLOSE, b"\x03\xea")
            assert [f[2] for f in sent(c)] == [b"\x03\xea"]


def test_a_message_at_the_limit_is_taken():
    c = fed(CLIENT, frame(TEXT, b"x" * 100), limit=100)
    assert c.next() == TEXT and len(c.data()) == 100
    c = fed(CLIENT, frame(TEXT, b""), limit=0)
    assert c.next() == TEXT and c.data() == ""
    c = fed(CLIENT, frame(TEXT, b"x"), limit=0)
    assert c.next() == -1009


def test_no_memory_for_a_message_is_an_event():
    for wire, error in (
        (frame(BINARY, b"x" * 1000)[:RX_MIN], -1),
        (frame(TEXT, b"a", None, False), -2),
        (frame(TEXT, b"a", None, False) + frame(0, b"b" * 1000)[:100], -2),
    ):
        c = codec()
        c.fill(io.BytesIO(wire[:3]))
        if error == -2 and len(wire) > 3:
            assert c.next() == 0
        c.fill(io.BytesIO(wire[3:]))
        micropython.heap_lock()
        event = c.next()
        micropython.heap_unlock()
        assert event == error
        assert c.next() == error


def test_no_memory_for_the_delivered_object_can_be_tried_again():
    for opcode, data in ((TEXT, "hello"), (BINARY, b"hello")):
        c = fed(CLIENT, frame(opcode, b"hello"))
        assert c.next() == opcode
        micropython.heap_lock()
        try:
            c.data()
            failed = False
        except MemoryError:
            failed = True
        micropython.heap_unlock()
        # In Python next() has made the str already, to check it.
        assert failed or (opcode == TEXT and not _wscore.native)
        assert c.data() == data


def test_empty_continuations_behind_a_big_fragment_allocate_nothing():
    size = fits(50000, 1500)
    for role in ROLES:
        key = peer_key(role)
        c = codec(role, rx_len=1024)
        stream = Stream(frame(BINARY, b"x" * size, key, False))
        while stream.data:
            c.fill(stream)
            assert c.next() == 0
        stream = Stream(frame(0, b"", key, False) * 100)
        assert c.fill(stream) and not stream.data
        micropython.heap_lock()
        event = c.next()
        micropython.heap_unlock()
        assert event == 0
        c.fill(Stream(frame(0, b"end", key)))
        assert c.next() == BINARY and c.data() == b"x" * size + b"end"


# --- Sending


def test_send_masks_as_the_role_requires():
    for role in ROLES:
        c = codec(role)
        for first, data in (
            (FIN | TEXT, "\u20ac"), (FIN | BINARY, b"\xff"), (TEXT, b"fr"), (FIN, b"ag"),
            (FIN | PING, b"p"), (FIN | PONG, b""), (FIN | CLOSE, b"\x03\xe8"),
            (FIN | TEXT, ""), (FIN | BINARY, memoryview(b"abc")[1:]),
        ):
            assert c.frame(first, data)
            (got,) = sent(c)
            assert got[0] == first and got[2] == bytes(memoryview(data))
            assert (got[1] is None) == (role == SERVER)


def test_keys_differ_by_frame_and_by_seed():
    keys = set()
    for seed in (SEED, bytes(20), b"\xff" * 20):
        c = codec(seed=seed)
        for i in range(100):
            assert c.frame(FIN | TEXT, "same")
            keys.add(sent(c)[0][1])
    assert len(keys) == 300 and b"\0\0\0\0" not in keys
    assert max(sum(k[i] == 0 for k in keys) for i in range(4)) < 20


def test_keys_are_not_spent_by_what_is_refused():
    a, b = codec(), codec()
    for c in (a, b):
        assert c.frame(FIN | TEXT, "x" * 1000)
    assert not a.frame(FIN | TEXT, "y")
    for c in (a, b):
        sent(c)
        assert c.frame(FIN | TEXT, "z")
    assert sent(a) == sent(b)


def test_senders_buffer_is_never_modified():
    for role in ROLES:
        for size in (0, 1, 100, 125, 126, fits(2000, 700)):
            for at in range(4):
                data = bytearray((i * 11) & 255 for i in range(size + at))
                copy = bytes(data)
                c = codec(role, tx_len=2 * size + 200)
                assert c.frame(FIN | BINARY, memoryview(data)[at:])
                assert c.write(data)
                c.flush(Stream())
                assert data == copy
        text = "immutable " * 80
        c = codec(role)
        assert c.frame(FIN | TEXT, text)
        assert sent(c, 7)[0][2] == text.encode() and text == "immutable " * 80


def test_mutable_buffer_is_taken_at_once_or_refused():
    for role in ROLES:
        c = codec(role)
        small = bytearray(b"a" * 100)
        assert c.frame(FIN | BINARY, small)
        small[:] = b"b" * 100
        assert not c.frame(FIN | BINARY, bytearray(1000))
        assert not c.frame(FIN | BINARY, memoryview(bytearray(1000)))
        assert not c.write(bytearray(1000))
        assert [f[2] for f in sent(c)] == [b"a" * 100]
        assert not c.frame(FIN | BINARY, bytearray(TX_MIN))
        assert c.pending() == 0


def test_large_immutable_goes_by_reference_and_blocks_what_follows():
    size = fits(70000, 2000)
    for role in ROLES:
        c = codec(role)
        data = bytes((i * 31) & 255 for i in range(size))
        assert c.frame(FIN | BINARY, data)
        assert c.pending() == (8 if role == CLIENT else 4) + (6 if size > 65535 else 0) + size
        for first in (FIN | TEXT, FIN | PING, FIN | CLOSE):
            assert not c.frame(first, b"")
        assert not c.write(b"x")
        stream = Stream(chunk=333, room=1000)
        assert c.flush(stream) == c.flush(stream) == -1
        assert not c.frame(FIN | TEXT, b"")
        stream.room = 1 << 30
        assert c.flush(stream) == 0
        assert [f[2] for f in frames(stream.written)] == [data]
        assert c.frame(FIN | TEXT, b"next")


def test_what_waits_by_reference_is_kept_alive():
    import gc

    c = codec()
    n = fits(40, 4)
    assert c.frame(FIN | BINARY, bytes(range(256)) * n)
    gc.collect()
    junk = [bytes(256 * n) for _ in range(fits(20, 5))]
    assert sent(c, 50)[0][2] == bytes(range(256)) * n
    assert junk


def test_a_full_transmit_buffer_refuses_and_loses_nothing():
    for role in ROLES:
        c = codec(role)
        taken = 0
        while c.frame(FIN | PING, b"%03d" % taken):
            taken += 1
            assert taken < 100
        assert taken > 10
        stream = Stream(room=20)
        assert c.flush(stream) == -1
        while c.frame(FIN | PING, b"%03d" % taken):
            taken += 1
        stream.room = 1 << 30
        assert c.flush(stream) == 0
        assert [f[2] for f in frames(stream.written)] == [b"%03d" % i for i in range(taken)]


def test_pong_answers_the_ping():
    for role in ROLES:
        for size in (0, 1, 125):
            c = fed(role, frame(PING, b"p" * size, peer_key(role)))
            assert c.next() == PING
            assert c.pong()
            assert [(f[0], f[2]) for f in sent(c)] == [(FIN | PONG, b"p" * size)]
        c = fed(role, frame(PING, b"p", peer_key(role)))
        c.frame(FIN | BINARY, bytes(1000))
        assert c.next() == PING
        assert not c.pong()
        assert len(sent(c)) == 1


def test_flush_survives_an_error_without_loss():
    c = codec()
    c.frame(FIN | TEXT, "whole")
    before = c.pending()
    assert c.flush(Broken()) == 5
    assert c.pending() == before
    assert sent(c)[0][2] == b"whole"


def test_write_is_raw():
    for role in ROLES:
        c = codec(role)
        assert c.write(b"GET / HTTP/1.1\r\n")
        assert c.write("x" * 1000)
        stream = Stream(chunk=11)
        assert c.flush(stream) == 0
        assert stream.written == b"GET / HTTP/1.1\r\n" + b"x" * 1000


# --- The short way


def test_serve_calls_the_handler_with_what_it_takes():
    got = []
    for count in range(4):
        for function in (
            lambda *args: got.append(args), lambda a, b: got.append((a, b))
        )[: 2 if count == 2 else 1]:
            c = codec()
            c.deliver(function, "owner", count)
            assert c.serve(Stream(frame(TEXT, b"a") + frame(BINARY, b"b"))) == 0
            assert got == [("owner", "a", 1)[:count], ("owner", b"b", 2)[:count]]
            got.clear()
    c = codec()
    c.deliver(lambda *args: got.append(args), None, 3)
    assert c.serve(Stream(frame(TEXT, b"a"))) == 0
    assert got == [(1, "a")]
    raises(ValueError, c.deliver, print, None, 4)
    raises(ValueError, c.deliver, print, None, -1)


def test_serve_returns_what_is_not_a_message():
    for role in ROLES:
        c = codec(role)
        key = peer_key(role)
        stream = Stream(
            frame(TEXT, b"x", key) + frame(PING, b"p", key) + frame(PONG, b"q", key)
            + frame(CLOSE, b"\x03\xe8", key), ended=True
        )
        assert c.serve(stream) == TEXT and c.data() == "x"  # no handler
        c.deliver(lambda opcode, data: None, None, 2)
        assert c.serve(stream) == PING and c.data() == b"p"  # no stream to answer on
        assert c.serve(stream) == PONG and c.data() == b"q"
        assert c.serve(stream) == CLOSE and c.data() == (1000, "")
        assert c.serve(stream) == END


def test_serve_stops_where_nothing_is_to_read():
    c = codec()
    got = []
    c.deliver(lambda opcode, data: got.append(data), None, 2)
    stream = Stream(frame(TEXT, b"ab")[:3])
    assert c.serve(stream) == 0 and got == []
    stream.data = frame(TEXT, b"ab")[3:]
    assert c.serve(stream) == 0 and got == ["ab"]


def test_serve_drops_what_follows_an_error():
    for role in ROLES:
        c = codec(role)
        key = peer_key(role)
        got = []
        c.deliver(lambda opcode, data, got=got: got.append(data), None, 2)
        bad = frame(TEXT, b"\xff", key)
        stream = Stream(frame(TEXT, b"a", key) + bad + frame(TEXT, b"b", key) * 100, ended=True)
        assert c.serve(stream) == -1007
        while stream.data:
            assert c.serve(stream) == 0
        assert c.serve(stream) == END and got == ["a"]


def test_serve_does_not_read_for_ever():
    c = codec(rx_len=1024)
    got = []
    c.deliver(lambda opcode, data: got.append(len(data)), None, 2)
    message = frame(BINARY, bytes(600))
    stream = Stream(message * 9)
    assert c.serve(stream) == 0 and stream.data and got
    for _ in range(3):
        stream.data += message * 5
        while stream.data:
            assert c.serve(stream) == 0
    assert got == [600] * 24


def test_a_handlers_exception_loses_no_event():
    c = codec()
    got = []

    def handler(opcode, data):
        got.append(data)
        assert not got[1:2] == [data], "second"

    c.deliver(handler, None, 2)
    stream = Stream(b"".join(frame(TEXT, t) for t in (b"1", b"2", b"3")))
    raises(AssertionError, c.serve, stream)
    assert c.calling() and not c.calling()
    assert c.serve(stream) == 0 and got == ["1", "2", "3"]
    assert not c.calling()


def test_a_handler_may_call_the_codec():
    c = codec()
    got = []
    stream = Stream(frame(TEXT, b"1") + frame(TEXT, b"2"))

    def handler(opcode, data):
        assert c.send(data) == 0
        got.append(data)
        if data == "1":
            c.deliver(lambda opcode, data: got.append("new " + data), None, 2)

    c.attach(stream)
    c.deliver(handler, None, 2)
    assert c.serve(stream) == 0 and got == ["1", "new 2"]
    assert [f[2] for f in frames(stream.written)] == [b"1"]


def test_serve_answers_pings_on_the_attached_stream():
    for role in ROLES:
        key = peer_key(role)
        c = codec(role)
        stream = Stream(frame(PING, b"p" * 125, key) + frame(PING, b"", key))
        c.attach(stream)
        assert c.serve(stream) == 0 and c.pending() == 0
        pongs = [(FIN | PONG, b"p" * 125), (FIN | PONG, b"")]
        assert [(first, payload) for first, _, payload in frames(stream.written)] == pongs
        # What does not go at once is taken, and the caller is told.
        c.attach(None)
        stream = Stream(frame(PING, b"p" * 125, key) * 2, room=10)
        assert c.serve(stream) == PING
        c.attach(stream)
        assert c.serve(stream) == FLUSH
        assert c.pending() == 2 + (4 if role == CLIENT else 0) + 125 - 10
        assert c.send("x") == NOT_TAKEN


def test_send_writes_to_the_attached_stream_or_takes_nothing():
    for role in ROLES:
        c = codec(role)
        assert c.send("x") == NOT_TAKEN and c.pending() == 0
        stream = Stream()
        c.attach(stream)
        assert c.send("t") == c.send(b"t") == c.send(b"b", BINARY) == c.send(b"", PING) == 0
        assert [(first & 15, payload) for first, _, payload in frames(stream.written)] == [
            (TEXT, b"t"), (TEXT, b"t"), (BINARY, b"b"), (PING, b"")
        ]
        stream.written[:] = b""
        for opcode in (0, 3, 7, CLOSE, 11, 15, 16, 33, 128, 129, 256, -1):
            assert c.send(b"\x03\xe8", opcode) == NOT_TAKEN
        raises(ValueError, c.send, b"\xff")
        raises(ValueError, c.send, b"x" * 126, PONG)
        raises(TypeError, c.send, 1)
        assert c.send(bytearray(1000), BINARY) == NOT_TAKEN  # it would have to be copied
        assert not stream.written and c.pending() == 0
        assert c.send("still") == 0
        c.attach(None)
        assert c.send("x") == NOT_TAKEN


def test_send_detaches_a_stream_that_does_not_take_all():
    for role in ROLES:
        c = codec(role)
        stream = Stream(room=10)
        c.attach(stream)
        assert c.send("x" * 1000) == WAITS
        assert c.send("y") == NOT_TAKEN
        stream.room = 2000
        assert c.flush(stream) == 0
        assert c.send("y") == NOT_TAKEN
        assert [f[2] for f in frames(stream.written)] == [b"x" * 1000]
        c.attach(Broken())
        assert c.send("x") == EIO
        assert c.send("y") == NOT_TAKEN


class Chunks(Stream):
    """A stream that takes nothing until `room` is there, and notes what it was offered."""

    offered = ()

    def write(self, data):
        self.offered += (len(data),)
        return Stream.write(self, data)


def test_what_a_stream_did_not_take_is_offered_again_as_it_was():
    # TLS has encrypted it by then, and counts what was offered first as sent.
    c = codec(CLIENT)
    stream = Chunks(room=0)
    c.write(b"a" * 20)
    assert c.flush(stream) == WAITS
    c.write(b"b" * 10)
    assert c.flush(stream) == WAITS
    stream.room = 1000
    assert c.flush(stream) == 0
    assert stream.offered == (20, 20, 20, 10)
    assert stream.written == b"a" * 20 + b"b" * 10
    c.write(b"c" * 5)
    assert c.flush(stream) == 0 and stream.offered[4:] == (5,)


def test_serve_empties_a_buffered_stream_or_says_that_there_is_more():
    c = codec()
    got = []
    c.deliver(lambda opcode, data: got.append(data), None, 2)
    stream = Stream(frame(TEXT, b"x") * 7, chunk=3)
    assert c.serve(stream) == 0 and len(got) == 1
    c.buffered(True)
    assert c.serve(stream) == 0 and len(got) == 7
    stream.data = frame(TEXT, b"y") * 10
    assert c.serve(stream) == MORE and len(got) == 7 + 8
    assert c.serve(None) == MORE
    assert c.serve(stream) == 0 and len(got) == 7 + 10
    assert c.serve(None) == 0
    stream.ended = True
    assert c.serve(stream) == END


def test_heard_tells_of_reads_once():
    c = codec()
    assert not c.heard()
    c.serve(Stream())
    assert not c.heard()
    c.serve(Stream(frame(TEXT, b"x")))
    assert c.heard() and not c.heard()


# --- Streams written in Python


class Nosy(Stream):
    """A stream that calls a codec whenever it is called; `refusals` counts the errors."""

    def nose_about(self, c):
        self.calls = (
            lambda: c.fill(self), lambda: c.flush(self), c.next, c.data, c.readline, c.read,
            lambda: c.readinto(bytearray(100)), lambda: c.write(b"x"), c.pong, c.pending,
            lambda: c.frame(FIN | TEXT, "x"), lambda: c.send("x"), lambda: c.serve(self),
            lambda: c.attach(None), lambda: c.deliver(None, None, 0),
        )
        self.refusals = 0

    def _call(self):
        for call in self.calls:
            assert raises(OSError, call).errno == EBUSY
            self.refusals += 1

    def readinto(self, buf):
        self._call()
        return super().readinto(buf)

    def write(self, data):
        self._call()
        return super().write(data)


def test_a_stream_that_calls_its_codec_is_refused():
    for role in ROLES:
        c = codec(role)
        payload = bytes(range(256)) * 6
        stream = Nosy(frame(BINARY, payload, peer_key(role)), chunk=400)
        stream.nose_about(c)
        while c.next() == 0:
            c.fill(stream)
        assert c.data() == payload
        assert c.frame(FIN | BINARY, payload)
        assert c.flush(stream) == 0 and c.pending() == 0
        assert [f[2] for f in frames(stream.written)] == [payload]
        stream.written[:] = b""
        c.attach(stream)
        assert c.send("at once") == 0
        assert [f[2] for f in frames(stream.written)] == [b"at once"]
        assert stream.refusals >= 3 * len(stream.calls)


class Interrupted(Stream):
    """Calls `function` as a chip's background does: soon after each write, at any point."""

    def write(self, data):
        n = super().write(data)
        micropython.schedule(self.function, None)
        return n


def test_send_is_whole_for_who_interrupts_it():
    for role in ROLES:
        c = codec(role)
        stream = Interrupted(frame(PING, b"p", peer_key(role)))
        called = []

        def serve(_, c=c, stream=stream, called=called):
            called.append(True)
            try:
                c.serve(stream)
            except OSError as e:
                assert e.errno == EBUSY

        stream.function = serve
        c.attach(stream)
        assert c.send("first") == 0
        assert c.send("second") == 0
        assert c.serve(stream) == 0
        assert called
        sent = sorted((f[0], f[2]) for f in frames(stream.written))
        assert sent == [(FIN | TEXT, b"first"), (FIN | TEXT, b"second"), (FIN | PONG, b"p")]


def test_flush_tells_the_error_that_a_pong_met():
    for role in ROLES:
        c = codec(role)
        c.attach(Broken())
        assert c.serve(Stream(frame(PING, b"p", peer_key(role)))) == FLUSH
        assert c.flush(Stream()) == EIO
        stream = Stream()
        assert c.flush(stream) == 0
        assert [(f[0], f[2]) for f in frames(stream.written)] == [(FIN | PONG, b"p")]


# --- Both ends


# Of one run; each is held several times.
MESSAGES = fits(25, 6)
LONGEST = fits(5000, 400)  # but for those as long as a buffer, which LONG_BUFFERS has
LONG_BUFFERS = fits(((139, 2000), (1999, 2000)), ((139, 500), (499, 500)))


def below(n):
    return random.getrandbits(20) % n  # small boards have no randint()


def pass_messages(role, rx_len, tx_len, seed):
    """One codec sends, the other receives, over a stream that takes and gives at random."""
    random.seed(seed)
    sender = codec(role, RX_MIN, tx_len)
    receiver = codec(1 - role, rx_len, TX_MIN)
    sizes = [(0, 1, 3, 120, 125, 126, 127, rx_len - 1, rx_len, rx_len + 1, tx_len,
              below(301), below(LONGEST + 1))[below(13)]
             for _ in range(MESSAGES)]
    messages = []
    for i, size in enumerate(sizes):
        if i % 3 == 0:
            messages.append((TEXT, (f"{i:04}\u20ac" * (size // 5 + 1))[:size]))
        else:
            messages.append((BINARY, bytes((i * j + size) & 255 for j in range(size))))
    wire = b""
    got = []
    waiting = list(messages)
    held = None
    turns = 0
    while len(got) < len(messages):
        turns += 1
        assert turns < 20000, f"it hangs at message {len(got)}"
        if waiting:
            opcode, data = waiting[0]
            if held is None:
                held = bytearray(data) if opcode == BINARY and below(2) else data
            if sender.frame(FIN | opcode, held):
                waiting.pop(0)
                if isinstance(held, bytearray):
                    held[:] = bytes(len(held))
                held = None
            elif sender.pending() == 0:
                held = data  # a mutable one that does not fit
        stream = Stream(chunk=1 + below(400), room=below(901))
        sender.flush(stream)
        wire += stream.written
        source = Stream(wire[: below(601)], chunk=1 + below(700))
        available = len(source.data)
        receiver.fill(source)
        wire = wire[available - len(source.data) :]
        while True:
            event = receiver.next()
            if event == 0:
                break
            got.append((event, receiver.data()))
    assert got == messages
    assert not wire and sender.pending() == 0


def test_nothing_is_lost_or_reordered_at_any_size_and_split():
    seed = 0
    for rx_len, tx_len in LONG_BUFFERS + (
        (139, 142), (140, 145), (142, 143), (256, 536), (fits(1024, 400), 142),
    ):
        for role in ROLES:
            seed += 1
            pass_messages(role, rx_len, tx_len, seed)
