"""What frames carry a message: fragments, pings between them, and what waits to be sent."""

import asyncio

import pytest
from peer.conftest import too_big
from peer.servers import BINARY, CLOSE, FIN, PING, PONG, TEXT, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))

LISTEN = """
    ws = client()
    ws.connect(url)
"""


def pings_between(opcode, pieces):
    """The frames of a message in pieces, with a numbered ping behind each but the last."""
    data = b""
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        data += frame((opcode if i == 0 else 0) | (FIN if last else 0), piece)
        if not last:
            data += frame(FIN | PING, b"%d" % i)
    return data


@pytest.mark.parametrize("pieces", [
    ["Hel", "lo"],
    ["", "Hello", ""],
    [b"gr\xc3", b"\xbc\xc3\x9f", b"e \xe2\x82", b"\xac"],
    ["x" * 1000] * 5,
    too_big(["y" * 70000, "z" * 3]),
], ids=["two", "empty", "split-characters", "five-1000", "70000"])
def test_client_joins_fragments_with_pings_between(talk, pieces):
    whole = b"".join(p if isinstance(p, bytes) else p.encode() for p in pieces)

    async def server(wire):
        await wire.open()
        await wire.send(pings_between(TEXT, pieces))
        for i in range(len(pieces) - 1):
            assert await wire.frame() == (PONG, b"%d" % i)
        assert await wire.frame() == (TEXT, whole)
        await wire.send(BYE)
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    script = """
        ws = client()
        ws.on("receive", lambda ws, message, opcode: ws.send(message, opcode))
        ws.connect(url)
    """
    assert talk(server, script) == ["open", "closed -6"]


def test_client_joins_binary_fragments(talk):
    async def server(wire):
        await wire.open()
        await wire.send(pings_between(BINARY, [b"\x00\xff", b"\xfe", b""]) + BYE)
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "receive 2 b'\\x00\\xff\\xfe'", "closed -6"]


@pytest.mark.parametrize("payload", [b"", b"hi", bytes(range(125))], ids=len)
def test_client_answers_ping_with_its_payload(talk, payload):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | PING, payload))
        assert await wire.frame() == (PONG, payload)
        await wire.send(BYE)
        await wire.rest()

    assert talk(server, LISTEN) == ["open", "closed -6"]


def test_client_answers_ping_of_real_server(talk, kind):
    async def server(peer):
        if kind == "websockets":
            await asyncio.wait_for(await peer.raw.ping(b"are you there"), 5)
        else:
            await peer.raw.ping(b"are you there")
        await peer.send("done")
        assert await peer.recv() == "done"
        await peer.close()

    script = """
        ws = client()
        ws.on("receive", lambda ws, message: ws.send(message))
        ws.connect(url)
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6"]


def test_client_ignores_unasked_pong(talk):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | PONG, b"?") + frame(FIN | TEXT, "a") + BYE)
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    assert talk(server, LISTEN) == ["open", "receive 1 a", "closed -6"]


def test_client_reads_frames_byte_by_byte(talk):
    async def server(wire):
        await wire.open()
        for byte in pings_between(TEXT, ["gr", "üß", "e"]) + frame(FIN | BINARY, b"\x01" * 130):
            await wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        await wire.send(BYE)
        await wire.rest()

    assert talk(server, LISTEN) == [
        "open", "receive 1 grüße", "receive 2 b'" + "\\x01" * 130 + "'", "closed -6"
    ]


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_send_of_ping_and_pong(talk, opcode):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (opcode, b"by hand")
        if opcode == PING:
            await wire.send(frame(FIN | PONG, b"by hand"))
        await wire.send(BYE)
        await wire.rest()

    script = """
        ws = client()
        ws.on("connection", lambda ws: ws.send("by hand", int(sys.argv[2])))
        ws.connect(url)
    """
    assert talk(server, script, opcode) == ["closed -6"]


def test_send_of_close_closes(talk):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (CLOSE, close_payload(3000, "reason"))
        await wire.send(frame(FIN | CLOSE, close_payload(3000, "reason")))
        assert await wire.rest() == []

    script = """
        ws = client()
        ws.on("connection", lambda ws: ws.send(b"\\x0b\\xb8reason", 8))
        ws.connect(url)
    """
    assert talk(server, script) == ["closed 0"]


def test_send_of_close_without_payload_closes(talk):
    async def server(wire):
        await wire.open()
        opcode, payload = await wire.frame()
        assert opcode == CLOSE
        assert payload in (b"", close_payload(1000))
        await wire.send(frame(FIN | CLOSE, payload))
        assert await wire.rest() == []

    script = """
        ws = client()
        ws.on("connection", lambda ws: ws.send("", 8))
        ws.connect(url)
    """
    assert talk(server, script) == ["closed 0"]


@pytest.mark.parametrize("size", [10, 2000, too_big(70000)])
@pytest.mark.parametrize("make", ["bytearray(data)", "memoryview(bytearray(data))"])
def test_send_takes_buffer_as_it_is_now(talk, make, size):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (BINARY, b"a" * size)
        assert await wire.frame() == (BINARY, b"b" * size)
        assert await wire.frame() == (BINARY, b"c" * size)
        await wire.send(BYE)
        await wire.rest()

    script = f"""
        data = b"a" * {size}
        buffer = {make}
        ws = client()
        def opened(ws):
            for c in b"abc":
                buffer[:] = bytes([c]) * {size}
                ws.send(buffer, 2)
            buffer[:] = bytes({size})
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script) == ["closed -6"]


def test_send_takes_memoryview_of_bytes(talk, target):
    size = target.fits(50_000, 8000)

    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"bcd")
        assert await wire.frame() == (BINARY, b"x" * (size - 1000))
        await wire.send(BYE)
        await wire.rest()

    script = """
        ws = client()
        def opened(ws):
            ws.send(memoryview(b"abcdef")[1:4])
            ws.send(memoryview(b"x" * int(sys.argv[2]))[1000:], 2)
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script, size) == ["closed -6"]


def test_send_leaves_buffer_unmodified(talk):
    async def server(wire):
        await wire.open()
        await wire.frame()
        await wire.frame()
        await wire.send(BYE)
        await wire.rest()

    script = """
        ws = client()
        constant = bytes(range(256)) * 10
        buffer = bytearray(constant)
        def opened(ws):
            ws.send(buffer, 2)
            ws.send(constant, 2)
        ws.on("connection", opened)
        ws.on("close", lambda ws, status: print(
            "closed", status, buffer == constant == bytes(range(256)) * 10))
        ws.connect(url)
    """
    assert talk(server, script) == ["closed -6 True"]


def test_all_arrives_behind_slow_reader(talk, target):
    big = target.fits(300_000, 5000)
    sizes = [big, big, 5, 0, 10_000]

    async def server(wire):
        await wire.open()
        wire.writer.transport.pause_reading()
        await asyncio.sleep(0.2)
        wire.writer.transport.resume_reading()
        for i, size in enumerate(sizes):
            assert await wire.frame() == (TEXT, bytes((65 + i,)) * size)
            await asyncio.sleep(0.02)
        await wire.send(BYE)
        await wire.rest()

    script = """
        ws = client()
        def opened(ws):
            ws.send(b"A" * int(sys.argv[2]))
            ws.send(b"B" * int(sys.argv[2]))
        def more(ws):
            ws.on("sent", None)
            ws.send(b"C" * 5)
            ws.send(b"")
            ws.send(b"E" * 10_000)
        ws.on("connection", opened)
        ws.on("sent", more)
        ws.connect(url)
    """
    assert talk(server, script, big) == ["closed -6"]


def test_send_refuses_whole_message_when_queue_is_full(talk, target):
    # The board's own buffer is small, and the queue holds the same object many times.
    big = b"b" * target.fits(60_000, 6000)
    go = asyncio.Event()

    async def server(wire):
        await wire.open()
        if b"GET /go" in wire.head:
            go.set()
            await wire.send(BYE)
            await wire.rest()
            return None
        wire.writer.transport.pause_reading()
        await go.wait()
        wire.writer.transport.resume_reading()
        count = 0
        while (received := await wire.frame()) == (TEXT, big):
            count += 1
        # Nothing of what was refused, all of what was taken.
        assert received == (TEXT, b"s" * 5000)
        await wire.send(BYE)
        await wire.rest()
        return count

    script = """
        ws = client()
        def opened(ws):
            big = "b" * int(sys.argv[2])
            count = 0
            try:
                while count < 1000:
                    ws.send(big)
                    count += 1
            except OSError as e:
                print("taken", count, "errno", e.errno)
            try:
                ws.send("r" * 6000)
            except OSError as e:
                print("errno", e.errno)
            ws.send("s" * 5000)
            client().connect(url + "go")
        ws.on("connection", opened)
        ws.on("close", lambda ws, status: print("closed", status, "stalled"))
        ws.connect(url)
    """
    lines = talk(server, script, len(big), connects=2)
    count = talk.server.result(0)
    assert count >= 2
    assert lines == [f"taken {count} errno 105", "errno 105", "open", "closed -6",
                     "closed -6 stalled"]


def test_sent_event_tells_that_all_has_gone(talk, target):
    size = target.fits(100_000, 10_000)

    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"x" * size)
        assert await wire.frame() == (TEXT, b"second")
        assert await wire.frame() == (TEXT, b"third")
        assert await wire.frame() == (TEXT, b"fourth")
        await wire.send(BYE)
        await wire.rest()

    script = """
        ws = client()
        def sent(ws):
            print("sent")
            ws.on("sent", again)
            ws.send("third")
        def again(ws):
            print("sent again")
            ws.on("sent", None)
            ws.send("fourth")
        def opened(ws):
            ws.send("x" * int(sys.argv[2]))
            ws.send("second")
            print("opened")
        ws.on("sent", sent)
        ws.on("connection", opened)
        ws.connect(url)
    """
    assert talk(server, script, size) == ["opened", "sent", "sent again", "closed -6"]
