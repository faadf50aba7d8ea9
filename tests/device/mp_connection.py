"""`modwebsocket.connection`: both ends of a connection, wired to each other in memory."""

from errno import ENOBUFS, ENOTCONN

from helpers import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
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
    raises,
)

from modwebsocket import Connection, HandshakeError, WebSocketError
from modwebsocket.events import (
    CLIENT,
    CLOSED,
    CLOSING,
    CONNECTING,
    FAILED,
    NONE,
    NOT_TAKEN,
    OPEN,
    OPENED,
    SERVER,
)
from modwebsocket.handshake import Response

ROLES = (CLIENT, SERVER)
PEER_KEY = b"\x01\x02\x03\x04"
GOOD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)


def opened(role=CLIENT, **limits):
    """A connection whose handshake is done."""
    conn = Connection(SEED, role=role, **limits)
    conn.state = OPEN
    return conn


def peer_frame(conn_role, opcode, payload=b"", fin=True):
    return frame(opcode, payload, PEER_KEY if conn_role == SERVER else None, fin)


def events(conn):
    """All that next_event() returns until NONE, with the payload of messages."""
    got = []
    while True:
        event = conn.next_event()
        if event == NONE:
            return got
        got.append((event, conn.data()) if event in (TEXT, BINARY, PING, PONG) else event)


def receive(conn, wire):
    """Feed wire; returns the events."""
    stream = Stream(wire)
    got = []
    while conn.fill(stream):
        got += events(conn)
    return got


def wire_of(conn):
    """All that conn has to write."""
    stream = Stream()
    assert conn.flush(stream) == 0
    return stream.written


def sent(conn):
    """The frames that conn has to write: (opcode with FIN, payload)."""
    return [(first, payload) for first, _, payload in frames(wire_of(conn))]


def deliver(sender, receiver):
    """Carry all that sender has to write; returns the receiver's events."""
    return receive(receiver, wire_of(sender))


BUSY_LEN = 700  # more than the transmit buffer


def blocked(role=CLIENT, **limits):
    """An open connection whose transmit buffer is busy with a message of "0"s."""
    conn = opened(role, **limits)
    conn.send("0" * BUSY_LEN)
    return conn


# --- Handshake


def connecting(**kwargs):
    conn = Connection(SEED, **kwargs)
    conn.start(b"GET / HTTP/1.1\r\n\r\n", Response(KEY))
    return conn


def test_client_opens_after_the_response_at_any_split():
    for wire in (GOOD, GOOD + frame(TEXT, b"first")):
        for split in range(len(wire)):
            conn = connecting()
            assert conn.state == CONNECTING
            assert wire_of(conn) == b"GET / HTTP/1.1\r\n\r\n"
            got = []
            if split:
                got += receive(conn, wire[:split])
            got += receive(conn, wire[split:])
            assert got == [OPENED] + ([(TEXT, "first")] if len(wire) > len(GOOD) else [])
            assert conn.state == OPEN and conn.error is None and conn.protocol is None
            assert conn.response.status == 101


def test_client_fails_on_a_bad_response():
    for wire in (
        b"garbage\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        GOOD.replace(ACCEPT, b"x" + ACCEPT[1:]),
        GOOD.replace(b"websocket", b"h2c"),
        GOOD.replace(b": Upgrade", b": close"),
    ):
        conn = connecting()
        got = receive(conn, wire + frame(TEXT, b"never"))
        assert got[:1] == [FAILED] and TEXT not in [e[0] for e in got if type(e) is tuple], got
        assert conn.state == CLOSED and isinstance(conn.error, HandshakeError)
        wire_of(conn)
        assert conn.close_code == 1006


def test_client_fails_on_more_than_8_kib_of_headers():
    conn = connecting()
    assert receive(conn, b"HTTP/1.1 101 X\r\nX: ") == []
    for _ in range(8):
        assert receive(conn, b"y" * 1000) == []
    assert receive(conn, b"y" * 1000) == [FAILED]
    assert conn.state == CLOSED and isinstance(conn.error, HandshakeError)


def test_after_a_failed_handshake_nothing_is_read():
    for head in (b"garbage\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"):
        conn = connecting()
        wire_of(conn)
        conn.fill(Stream(head + frame(PING, b"hi") + frame(CLOSE, b"\x03\xe8bye")))
        assert [conn.next_event() for _ in range(5)] == [FAILED, NONE, NONE, NONE, NONE]
        assert receive(conn, frame(TEXT, b"never") + frame(CLOSE, b"\x03\xe8bye")) == []
        assert conn.state == CLOSED and (conn.close_code, conn.close_reason) == (1006, "")
        assert isinstance(conn.error, HandshakeError) and wire_of(conn) == b""


def test_after_close_the_response_is_not_read():
    for split in (0, 1, 20, len(GOOD) - 1, len(GOOD)):
        conn = connecting()
        wire_of(conn)
        conn.fill(Stream(GOOD[:split]))
        conn.close()
        assert receive(conn, GOOD[split:] + frame(TEXT, b"never")) == []
        assert conn.state == CLOSED and conn.error is None and wire_of(conn) == b""


def test_headers_longer_than_the_receive_buffer_are_skipped():
    long = b"Set-Cookie: " + b"x" * 1100 + b"\r\n"
    at = GOOD.index(b"Upgrade:")
    # Behind the status line, before the others; and such as ends where the buffer ends.
    for headers in ((long,), (long, long), (long[:1022], b"\r\n"), (long[:1024], b"\r\n")):
        for chunk in (1, 100, 1023, 1024, 1 << 30):
            conn = connecting()
            wire_of(conn)
            got = []
            for part in (GOOD[:at],) + headers + (GOOD[at:],):
                stream = Stream(part, chunk)
                while conn.fill(stream):
                    got += events(conn)
            assert got == [OPENED] and conn.response.headers["upgrade"] == "websocket"
            assert receive(conn, frame(TEXT, b"first")) == [(TEXT, "first")]


def test_only_an_open_connection_sends():
    conn = Connection(SEED)
    assert conn.state == CONNECTING
    assert raises(OSError, conn.send, "early").errno == ENOTCONN
    conn.close()
    assert conn.state == CLOSED and wire_of(conn) == b""
    assert raises(OSError, conn.send, "late").errno == ENOTCONN


def test_lengths_are_checked():
    raises(ValueError, lambda: Connection(SEED, rx_len=138))
    raises(ValueError, lambda: Connection(SEED, tx_len=141))
    raises(ValueError, lambda: Connection(SEED, role=2))
    raises(ValueError, lambda: Connection(SEED, max_message_len=-1))
    raises(ValueError, lambda: Connection(b"short"))
    raises(TypeError, lambda: Connection(None))


# --- Messages


def test_messages_pass_in_both_directions():
    client = opened()
    server = opened(SERVER)
    messages = ["", "a", "\u20ac" * 50, b"", b"\xff" * 125, b"\xfe" * 126, "x" * 1024,
                b"y" * fits(70000, 1500)]
    for sender, receiver in ((client, server), (server, client)):
        for data in messages:
            opcode = TEXT if isinstance(data, str) else BINARY
            sender.send(data, opcode)
            assert deliver(sender, receiver) == [(opcode, data)]
        for data in messages:
            sender.send(data, TEXT if isinstance(data, str) else BINARY)
        assert [e[1] for e in deliver(sender, receiver)] == messages


def test_text_may_be_bytes_and_binary_may_be_str():
    client = opened()
    server = opened(SERVER)
    client.send("\u20ac".encode())
    client.send("\u20ac", BINARY)
    client.send(bytearray(b"abc"), TEXT)
    client.send(memoryview(b"abcd")[2:], BINARY)
    assert deliver(client, server) == [
        (TEXT, "\u20ac"), (BINARY, "\u20ac".encode()), (TEXT, "abc"), (BINARY, b"cd"),
    ]


def test_fragments_with_pings_between_are_one_message():
    for role in ROLES:
        conn = opened(role)
        wire = (
            peer_frame(role, TEXT, b"\xe2", False) + peer_frame(role, PING, b"1")
            + peer_frame(role, CONTINUATION, b"\x82", False) + peer_frame(role, PONG, b"2")
            + peer_frame(role, CONTINUATION, b"\xac")
        )
        assert receive(conn, wire) == [(PING, b"1"), (PONG, b"2"), (TEXT, "\u20ac")]
        assert sent(conn) == [(FIN | PONG, b"1")]


def test_send_refuses_what_is_wrong_and_takes_nothing():
    for conn, waiting in ((opened(), 0), (blocked(), 1)):
        for opcode in (0, 3, 7, 8, 11, 15, 16, -1, 100, 1 << 20):
            raises(ValueError, conn.send, b"", opcode)
        for opcode in ("1", None, b"\x01"):
            raises(TypeError, conn.send, b"", opcode)
        for data in (b"\xff", chr(0xD800), bytearray(b"\x80"), b"\xff" * 5000):
            raises(ValueError, conn.send, data)
        for opcode in (PING, PONG):
            raises(ValueError, conn.send, b"x" * 126, opcode)
        for data in (None, 5, [b"x"], object()):
            raises(TypeError, conn.send, data, BINARY)
        assert conn.queued_len == 0 and conn.state == OPEN
        assert len(sent(conn)) == waiting


def test_a_queued_buffer_may_be_modified_at_once():
    for role in ROLES:
        for size in (10, fits(2000, 700)):
            conn = blocked(role)
            data = bytearray(b"a" * size)
            conn.send(data, BINARY)
            conn.send(memoryview(data), BINARY)
            data[:] = b"b" * size
            assert [p for _, p in sent(conn)][1:] == [b"a" * size] * 2
            # Also one that the transmit buffer could begin with.
            data = bytearray(b"a" * size)
            conn.send(data, BINARY)
            data[:] = b"b" * size
            assert sent(conn) == [(FIN | BINARY, b"a" * size)]


def test_the_queue_keeps_the_order():
    count = fits(30, 10)
    for role in ROLES:
        conn = blocked(role)
        for i in range(1, count):
            data = f"{i}" * (1 + i * 41 % 700)
            conn.send(data, PING if len(data) < 126 else TEXT)
        stream = Stream(chunk=97)
        while conn.flush(stream):
            stream.room = 101
        assert [p[:2] for _, _, p in frames(stream.written)] == [
            (f"{i}" * 2)[:2].encode() for i in range(count)
        ]
        assert conn.queued_len == 0


def test_the_short_way_overtakes_nothing():
    for role in ROLES:
        for room in range(0, 260, 5):
            conn = opened(role, tx_len=160)
            stream = Stream(room=room)
            conn.codec.attach(stream)
            conn.send(b"1" * 200)  # by reference
            conn.send("2" * 50)  # waits
            conn.flush(stream)
            if conn.send_now("3") == NOT_TAKEN:
                conn.send("3")
            stream.room = 1000
            assert conn.flush(stream) == 0
            got = [payload[:1] for _, _, payload in frames(stream.written)]
            assert got == [b"1", b"2", b"3"], (role, room, got)


def test_a_full_queue_takes_nothing():
    conn = blocked(max_queue_len=1000)
    conn.send("1" * 1500)  # one may always wait
    assert conn.queued_len == 1500
    for data in ("x", b"x", bytearray(b"x"), bytearray(2000)):
        assert raises(OSError, conn.send, data, BINARY).errno == ENOBUFS
        assert conn.queued_len == 1500
    assert [len(p) for _, p in sent(conn)] == [BUSY_LEN, 1500]
    conn = blocked(max_queue_len=1000)
    for _ in range(10):
        conn.send("x" * 100)
    assert conn.queued_len == 1000
    assert raises(OSError, conn.send, "y").errno == ENOBUFS
    assert len(sent(conn)) == 11
    conn.send("z")
    assert sent(conn) == [(FIN | TEXT, b"z")]


def test_empty_messages_fill_the_queue():
    conn = blocked(max_queue_len=1000)

    def flood():
        for _ in range(200):
            conn.send("")

    assert raises(OSError, flood).errno == ENOBUFS
    assert 1 < len(sent(conn)) < 100
    conn.send("again")
    assert sent(conn) == [(FIN | TEXT, b"again")]


def test_flush_says_whether_something_is_left():
    conn = blocked()
    conn.send("next")
    stream = Stream(room=100)
    assert conn.flush(stream) == -1
    assert conn.flush(stream) == -1
    stream.room = 1 << 30
    assert conn.flush(stream) == 0
    assert conn.flush(stream) == 0
    assert len(frames(stream.written)) == 2
    conn.send("lost?")
    assert conn.flush(Broken()) == 5
    assert sent(conn) == [(FIN | TEXT, b"lost?")]


# --- Ping and pong


def test_a_ping_is_answered_with_its_payload():
    for role in ROLES:
        conn = opened(role)
        for payload in (b"", b"x", b"\xff" * 125):
            assert receive(conn, peer_frame(role, PING, payload)) == [(PING, payload)]
            assert sent(conn) == [(FIN | PONG, payload)]


def test_pings_and_pongs_of_the_user_pass():
    client = opened()
    server = opened(SERVER)
    client.send(b"hi", PING)
    client.send("ho", PONG)
    assert deliver(client, server) == [(PING, b"hi"), (PONG, b"ho")]
    assert deliver(server, client) == [(PONG, b"hi")]


def test_a_pong_goes_before_what_waits_and_close_behind():
    for role in ROLES:
        conn = blocked(role)
        conn.send("1" * 600)
        conn.send("2")
        assert receive(conn, peer_frame(role, PING, b"a")) == [(PING, b"a")]
        conn.send("3")
        conn.close(1001, "bye")
        assert [(f, p[:5]) for f, p in sent(conn)] == [
            (FIN | TEXT, b"00000"), (FIN | PONG, b"a"), (FIN | TEXT, b"11111"),
            (FIN | TEXT, b"2"), (FIN | TEXT, b"3"), (FIN | CLOSE, b"\x03\xe9bye"),
        ]
        assert conn.queued_len == 0


def test_only_the_newest_waiting_ping_is_answered():
    for role in ROLES:
        conn = blocked(role)
        conn.send("1")
        length = conn.queued_len
        for payload in (b"a", b"bb", b"ccc"):
            receive(conn, peer_frame(role, PING, payload))
        assert conn.queued_len == length + 3
        assert [p[:3] for _, p in sent(conn)] == [b"000", b"ccc", b"1"]


def test_a_waiting_pong_of_the_user_is_not_dropped():
    for role in ROLES:
        conn = blocked(role)
        conn.send(b"user", PONG)
        conn.send("1")
        for payload in (b"a", b"b"):
            receive(conn, peer_frame(role, PING, payload))
        assert [p[:4] for _, p in sent(conn)] == [b"0000", b"b", b"user", b"1"]
        assert conn.queued_len == 0


def test_pings_do_not_fill_the_queue():
    conn = blocked(max_queue_len=500)
    conn.send("1" * 500)
    for _ in range(100):
        receive(conn, frame(PING, b"x" * 125))
    assert conn.queued_len <= 500 + 125
    assert len(sent(conn)) == 3


# --- Closing


def test_close_handshake():
    for role in ROLES:
        a = opened(role)
        b = opened(1 - role)
        a.close(3456, "enough")
        assert a.state == CLOSING
        assert deliver(a, b) == [CLOSE]
        assert b.state == CLOSED and (b.close_code, b.close_reason) == (3456, "enough")
        assert deliver(b, a) == [CLOSE]
        assert a.state == CLOSED and a.close_code == 3456
        assert wire_of(a) == wire_of(b) == b""
        assert a.error is None and b.error is None


def test_close_without_code_is_answered_without_code():
    for role in ROLES:
        conn = opened(role)
        assert receive(conn, peer_frame(role, CLOSE)) == [CLOSE]
        assert (conn.close_code, conn.close_reason) == (1005, "")
        assert sent(conn) == [(FIN | CLOSE, b"")]


def test_crossing_closes_end_both():
    a = opened()
    b = opened(SERVER)
    a.close(1000)
    b.close(1001, "restart")
    from_a = wire_of(a)
    from_b = wire_of(b)
    assert receive(a, from_b) == [CLOSE] and receive(b, from_a) == [CLOSE]
    assert a.state == b.state == CLOSED
    assert (a.close_code, a.close_reason) == (1001, "restart") and b.close_code == 1000
    assert wire_of(a) == wire_of(b) == b""


def test_second_close_does_nothing():
    for role in ROLES:
        conn = opened(role)
        conn.close(1000)
        conn.close(1001, "again")
        assert sent(conn) == [(FIN | CLOSE, b"\x03\xe8")]
        conn.close(1002)
        receive(conn, peer_frame(role, CLOSE, b"\x03\xe8"))
        conn.close()
        assert wire_of(conn) == b"" and conn.state == CLOSED


def test_nothing_follows_the_close_frame():
    for role in ROLES:
        conn = opened(role)
        conn.close()
        for opcode in (TEXT, BINARY, PING, PONG):
            assert raises(OSError, conn.send, b"x", opcode).errno == ENOTCONN
        assert receive(conn, peer_frame(role, PING, b"x")) == [(PING, b"x")]
        assert [f for f, _ in sent(conn)] == [FIN | CLOSE]


def test_close_codes():
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1011, 1014, 3000, 3999, 4000, 4999):
        for role in ROLES:
            a = opened(role)
            b = opened(1 - role)
            a.close(code)
            assert deliver(a, b) == [CLOSE] and b.close_code == code
            assert deliver(b, a) == [CLOSE] and a.close_code == code
    for conn in (opened(), blocked()):
        for code in (-1, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535, 66536):
            raises(ValueError, conn.close, code)
        for code in (None, "1000", b"\x03\xe8"):
            raises(TypeError, conn.close, code)
        assert conn.state == OPEN


def test_close_reasons():
    for reason in ("", "x" * 123, "\u00e9" * 61, b"bytes", bytearray(b"x"), memoryview(b"yz")):
        a = opened()
        b = opened(SERVER)
        a.close(1000, reason)
        assert deliver(a, b) == [CLOSE]
        assert b.close_reason == bytes(memoryview(reason)).decode()
    conn = opened()
    for reason in ("x" * 124, "\u00e9" * 62, b"\xff", chr(0xDC00), b"\xc3"):
        raises(ValueError, conn.close, 1000, reason)
    for reason in (None, 5, ["x"]):
        raises(TypeError, conn.close, 1000, reason)
    assert conn.state == OPEN and wire_of(conn) == b""


def test_peers_close_drops_what_waits():
    for role in ROLES:
        conn = blocked(role)
        conn.send("never")
        assert receive(conn, peer_frame(role, CLOSE, b"\x03\xe9")) == [CLOSE]
        assert conn.state == CLOSED and conn.queued_len == 0
        # The frame that had begun must end before another begins.
        assert [(f, len(p)) for f, p in sent(conn)] == [(FIN | TEXT, BUSY_LEN), (FIN | CLOSE, 2)]


def test_data_behind_own_close_is_not_delivered():
    for role in ROLES:
        conn = opened(role)
        conn.close()
        wire = (
            peer_frame(role, TEXT, b"late") + peer_frame(role, BINARY, b"x" * 1500)
            + peer_frame(role, TEXT, b"fr", False) + peer_frame(role, CONTINUATION, b"ag")
            + peer_frame(role, CLOSE, b"\x03\xe8")
        )
        assert receive(conn, wire) == [CLOSE]
        assert conn.state == CLOSED


def test_data_behind_peers_close_is_not_delivered():
    for role in ROLES:
        conn = opened(role)
        wire = (
            peer_frame(role, CLOSE, b"\x03\xe8") + peer_frame(role, TEXT, b"late")
            + peer_frame(role, PING) + peer_frame(role, CLOSE)
        )
        assert receive(conn, wire) == [CLOSE]
        assert sent(conn) == [(FIN | CLOSE, b"\x03\xe8")]


# --- Failing


FAILURES = (
    # what the peer sends, close code, text
    (lambda role: b"\xc1\x00", 1002, "protocol"),
    (lambda role: peer_frame(role, 3), 1002, "protocol"),
    (lambda role: peer_frame(role, CONTINUATION), 1002, "protocol"),
    (lambda role: peer_frame(role, PING, b"", False), 1002, "protocol"),
    (lambda role: peer_frame(1 - role, TEXT, b"x"), 1002, "protocol"),
    (lambda role: peer_frame(role, CLOSE, b"\x03"), 1002, "protocol"),
    (lambda role: peer_frame(role, CLOSE, b"\x03\xee"), 1002, "protocol"),
    (lambda role: peer_frame(role, TEXT, b"\xff"), 1007, "text"),
    (lambda role: peer_frame(role, CLOSE, b"\x03\xe8\xff"), 1007, "text"),
    (lambda role: peer_frame(role, TEXT, b"x" * 501), 1009, "too big"),
)


def test_wrong_frames_fail_the_connection():
    for role in ROLES:
        for wrong, code, text in FAILURES:
            conn = opened(role, max_message_len=500)
            assert receive(conn, peer_frame(role, TEXT, b"ok") + wrong(role)) == [
                (TEXT, "ok"), FAILED,
            ]
            assert isinstance(conn.error, WebSocketError) and conn.error.args == (code, text)
            assert conn.state == CLOSING and conn.close_code == 1006
            assert raises(OSError, conn.send, "x").errno == ENOTCONN
            conn.close()
            # One close frame ever, and the rest of the input is not looked at.
            rest = peer_frame(role, TEXT, b"x") + peer_frame(role, PING) + wrong(role)
            assert receive(conn, rest * 5) == []
            assert sent(conn) == [(FIN | CLOSE, bytes((code >> 8, code & 255)))]


def test_failing_drops_what_waits():
    for role in ROLES:
        conn = blocked(role)
        conn.send("never")
        assert receive(conn, b"\xff\xff") == [FAILED]
        assert [(f, len(p)) for f, p in sent(conn)] == [(FIN | TEXT, BUSY_LEN), (FIN | CLOSE, 2)]


def test_failing_behind_own_close_sends_no_second_close():
    for role in ROLES:
        conn = opened(role)
        conn.close()
        assert receive(conn, b"\xff\xff") == [FAILED]
        assert conn.error.args == (1002, "protocol")
        assert sent(conn) == [(FIN | CLOSE, b"\x03\xe8")]


def test_no_memory_fails_with_1009():
    import micropython

    for role in ROLES:
        conn = opened(role)
        conn.fill(Stream(peer_frame(role, BINARY, b"x" * 1500)[:1000]))
        micropython.heap_lock()
        event = conn.codec.next()
        micropython.heap_unlock()
        assert event == -1
        assert events(conn) == [FAILED]
        assert conn.error.args == (1009, "memory")
        assert sent(conn) == [(FIN | CLOSE, b"\x03\xf1")]
