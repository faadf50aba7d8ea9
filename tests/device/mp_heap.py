"""Steady state: with the heap locked, nothing but a delivered message may be allocated."""

import gc
import io

import micropython
from helpers import BINARY, FIN, PING, PONG, SEED, TEXT, Peer, fits, frame, frames

import websocket
from modwebsocket import Connection, Link, step
from modwebsocket.events import NONE, OPEN, SERVER

KEY = b"\x01\x02\x03\x04"
LONG = bytes(range(256)) * 4  # more than the transmit buffer
TURNS = fits(20, 5)


def locked(function):
    """Call function a few times with the heap locked."""
    function()  # what is made once may be made
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(TURNS):
            function()
    finally:
        micropython.heap_unlock()


def opened(role):
    conn = Connection(SEED, role=role)
    conn.state = OPEN
    return conn


def test_the_lock_finds_an_allocation():
    try:
        locked(lambda: [1])
    except MemoryError:
        return
    raise AssertionError("the heap was not locked")


# --- Connection


def test_connection_answers_a_ping():
    for role in range(2):
        conn = opened(role)
        source = io.BytesIO(frame(PING, b"x" * 125, KEY if role == SERVER else None))
        sink = io.BytesIO(2000)

        def turn(conn=conn, source=source, sink=sink):
            source.seek(0)
            sink.seek(0)
            conn.fill(source)
            assert conn.next_event() == PING
            assert conn.next_event() == NONE
            assert conn.flush(sink) == 0

        locked(turn)
        first, _, payload = frames(sink.getvalue())[0]
        assert first == FIN | PONG and payload == b"x" * 125


def test_connection_sends():
    for role in range(2):
        conn = opened(role)
        sink = io.BytesIO(1100)

        for data, opcode in (
            (b"bytes", BINARY), ("text \u20ac", TEXT), (b"text", TEXT), (b"", BINARY),
            (bytearray(100), BINARY), (LONG, BINARY), ("long " * 200, TEXT), (b"hi", PING),
        ):
            def turn(conn=conn, sink=sink, data=data, opcode=opcode):
                sink.seek(0)
                conn.send(data, opcode)
                assert conn.flush(sink) == 0

            locked(turn)


def test_connection_receives_into_a_buffer():
    for role in range(2):
        conn = opened(role)
        buf = bytearray(1000)
        for opcode in (TEXT, BINARY, PONG):
            n = 100 if opcode == PONG else 1000
            payload = b"m" * n
            source = io.BytesIO(frame(opcode, payload, KEY if role == SERVER else None))

            def turn(conn=conn, source=source, buf=buf, opcode=opcode, n=n):
                source.seek(0)
                event = NONE
                while event == NONE:
                    conn.fill(source)
                    event = conn.next_event()
                assert event == opcode
                assert conn.readinto(buf) == n

            locked(turn)
            assert buf[:n] == payload


def test_connection_without_news():
    conn = opened(0)
    source = io.BytesIO(b"")
    sink = io.BytesIO(10)

    def turn():
        conn.fill(source)
        assert conn.next_event() == NONE
        assert conn.flush(sink) == 0

    locked(turn)


# --- Link and the facade, over a socket


class Opened:
    """A Link or a websocket client that is connected to a Peer."""

    def __init__(self, make, **kwargs):
        self.peer = Peer(step)
        self.client = make(self.peer.url, **kwargs)
        self.peer.upgrade()
        for _ in range(5):
            step(5)

    def close(self):
        self.peer.close()
        for _ in range(100):
            if not step(10):
                return


received = [0, 0]  # messages, their length


def handler(event, data):
    if event == TEXT or event == BINARY:
        received[0] += 1
        received[1] += len(data)


def nodemcu(url):
    client = websocket.createClient()
    client.on("receive", lambda ws, data: handler(TEXT, data))
    client.connect(url)
    return client


def link(url, **kwargs):
    return Link(url, handler, **kwargs)


def test_link_answers_a_ping():
    o = Opened(link)
    sock = o.peer.sock
    ping = frame(PING, b"x" * 100)
    buf = bytearray(108)  # header, key, payload

    def turn():
        sock.write(ping)
        n = None
        while n is None:
            step(10)
            n = sock.readinto(buf)
        assert n == 106

    locked(turn)
    first, _, payload = frames(buf[:106])[0]
    assert first == FIN | PONG and payload == b"x" * 100
    o.close()


def check_sending(make):
    o = Opened(make)
    sock = o.peer.sock
    buf = bytearray(1100)

    for data, opcode in (
        (b"bytes", BINARY), ("text \u20ac", TEXT), (LONG, BINARY), ("long " * 200, TEXT),
        (bytearray(100), BINARY), (b"ping", PING),
    ):
        def turn(data=data, opcode=opcode):
            o.client.send(data, opcode)
            step(0)
            while sock.readinto(buf) is None:
                step(10)

        locked(turn)
    o.close()


def test_link_sends():
    check_sending(link)


def test_client_sends():
    check_sending(nodemcu)


def test_link_without_news():
    o = Opened(link)
    locked(lambda: step(0))
    o.close()


def test_link_keeps_alive():
    o = Opened(link, ping_interval_ms=30)
    sock = o.peer.sock
    pong = frame(PONG)
    buf = bytearray(100)

    def turn():
        n = None
        while n is None:
            step(10)
            n = sock.readinto(buf)
        assert n == 6 and buf[0] == FIN | PING
        sock.write(pong)

    turn()
    locked(turn)
    o.close()


def allocated(function):
    """Bytes of heap that a call of function takes and keeps until the next collection."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    function()
    after = gc.mem_alloc()
    gc.enable()
    return after - before


def check_receiving(make):
    o = Opened(make)
    sock = o.peer.sock
    for size in (10, fits(1000, 200)):
        wire = frame(TEXT, b"m" * size)
        conn = opened(0)
        source = io.BytesIO(wire)
        event = NONE
        while event == NONE:
            conn.fill(source)
            event = conn.next_event()
        message = allocated(conn.data)
        assert message >= size

        def turn(wire=wire):
            until = received[0] + TURNS
            for _ in range(TURNS):
                sock.write(wire)
            while received[0] < until:
                step(10)

        turn()
        got = allocated(turn)
        assert got <= TURNS * message, f"{got} bytes for {TURNS} messages of {message}"
    o.close()


def test_link_allocates_only_the_message():
    check_receiving(link)


def test_client_allocates_only_the_message():
    check_receiving(nodemcu)
