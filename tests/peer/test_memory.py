"""Not enough memory: for what the server announces, for what the user sends, at any moment."""

import asyncio

import pytest
from peer.conftest import prepare
from peer.servers import BINARY, CLOSE, FIN, TEXT, Ended, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))
HEAP = "400k"  # of which the stock interpreter takes a good part for its modules


async def hears_1009(wire, data):
    """Opens and sends data, which must be refused as too big."""
    await wire.open()
    await wire.send(data)
    opcode, payload = await wire.frame()
    assert (opcode, payload[:2]) == (CLOSE, close_payload(1009))
    await wire.close()


LISTEN = """
    ws = client()
    ws.connect(url)
"""


def test_message_that_the_heap_cannot_hold_is_minus_13(talk):
    async def server(wire):
        await hears_1009(wire, frame(FIN | BINARY, b"begin", length=900_000))

    assert talk(server, LISTEN, heap=HEAP) == ["open", "closed -13"]


@pytest.mark.parametrize("data", [
    frame(BINARY, b"x" * 10) + frame(FIN, b"begin", length=900_000),
    frame(TEXT, b"begin", length=900_000),
    frame(BINARY, b"") + frame(0, b"x" * 2000) + frame(0, b"begin", length=900_000),
], ids=["second", "first", "third"])
def test_fragments_that_the_heap_cannot_hold_are_minus_12(talk, data):
    async def server(wire):
        await hears_1009(wire, data)

    assert talk(server, LISTEN, heap=HEAP) == ["open", "closed -12"]


def test_fragments_that_fill_the_heap_are_minus_12(talk):
    async def server(wire):
        await wire.open()
        try:
            await wire.send(frame(BINARY, b""))
            for _ in range(90):
                await wire.send(frame(0, bytes(10_000)))
        except ConnectionError:
            pass
        opcode, payload = await wire.frame()
        assert (opcode, payload[:2]) == (CLOSE, close_payload(1009))
        await wire.close()

    assert talk(server, LISTEN, heap=HEAP) == ["open", "closed -12"]


def test_copy_that_the_heap_cannot_hold_is_minus_16(talk, target):
    async def server(wire):
        await wire.open()
        # Nothing of the message, unless the whole of it.
        assert await wire.rest() == []

    script = """
        ws = client()
        data = bytearray(int(sys.argv[2]))
        def opened(ws):
            print("open")
            ws.send(data, 2)
        ws.on("connection", opened)
        ws.connect(url)
    """
    size = target.fits(200_000, 15_000)
    assert talk(server, script, size, heap=HEAP) == ["open", "closed -16"]


def test_process_goes_on_after_the_heap_was_full(talk, target):
    message = bytes(target.fits(50_000, 5000))
    count = 0

    async def server(wire):
        nonlocal count
        count += 1
        if count < 3:
            await hears_1009(wire, frame(FIN | BINARY, b"begin", length=900_000))
        else:
            await wire.open()
            await wire.send(frame(FIN | BINARY, message))
            assert await wire.frame() == (BINARY, message)
            await wire.send(BYE)
            await wire.rest()

    script = """
        ws = client()
        left = 2
        def closed(ws, status):
            global left
            print("closed", status)
            if left:
                left -= 1
                ws.connect(url)
        ws.on("receive", lambda ws, message, opcode: ws.send(message, opcode))
        ws.on("close", closed)
        ws.connect(url)
    """
    assert talk(server, script, connects=3, heap=HEAP) == [
        "open", "closed -13", "open", "closed -13", "open", "closed -6"
    ]


# ---- Each allocation in turn

# Runs `attempt` again and again, the n-th allocation failing, until none is left to fail. After
# each it must be possible to connect. What fails in a handler is the handler's error.
EACH = """
    import failalloc
    import modwebsocket

    closes = 0
    opens = 0
    echoes = 0
    status = None
    big = "x" * 3000
    mutable = bytearray(3000)
    config = {"connect_timeout_ms": 3000, "close_timeout_ms": 300, "ping_interval_ms": 1000}
    mode = sys.argv[2]
    if len(sys.argv) > 3:
        config["cacert"] = sys.argv[3]

    def opened(ws):
        global opens
        opens += 1
        if mode == "mutable":
            ws.send(mutable, 2)
        elif mode == "close":
            ws.close()
        elif mode == "big":
            ws.send(big)
        else:
            ws.send("hello")

    def receive(ws, message, opcode):
        global echoes
        echoes += 1
        if mode == "queue":
            if echoes == 1:
                for i in range(5):
                    ws.send(big)
        ws.close()

    def closed(ws, s):
        global closes, status
        closes += 1
        status = s

    def prepare():
        global opens, echoes, closes, status
        opens = echoes = closes = 0
        status = None

    def attempt():
        ws = websocket.createClient()
        ws.on("connection", opened)
        ws.on("receive", receive)
        ws.on("close", closed)
        ws.config(config)
        ws.connect(url)

    def run(n):
        # Whether the user's own call raised.
        prepare()
        raised = False
        failalloc.after(n)
        try:
            attempt()
        except MemoryError:
            raised = True
        try:
            modwebsocket.run()
        except MemoryError:
            print("run() raised", n)
        count = failalloc.count()
        failalloc.after(0)
        return raised, count

    # Learn the handlers' arguments, fill caches.
    run(0)
    run(0)
    assert status == 0, status
    seen = {}
    n = 0
    while True:
        n += 1
        raised, count = run(n)
        what = "raised" if raised else status
        seen[what] = seen.get(what, 0) + 1
        if closes != (0 if raised else 1):
            print("at", n, "raised" if raised else "", "close events:", closes)
        if count < n:
            break
        if what not in ("raised", 0, -6, -12, -13, -16, -101):
            print("at", n, "status", what)
        run(0)
        if (status, closes) != (0, 1):
            print("after", n, "status", status, "close events", closes)
    print("allocations", n, sorted(seen.items(), key=str))
"""


@pytest.mark.parametrize("mode", ["hello", "big", "mutable", "queue", "close"])
def test_each_allocation_may_fail(serve, failalloc, mode):
    server = serve(echo_until_silent)
    fail_each(failalloc, server.url, mode)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["hello", "big"])
def test_each_allocation_with_tls_may_fail(serve, failalloc, certificates, mode):
    server = serve(echo_until_silent, tls=certificates.server())
    fail_each(failalloc, server.url, mode, certificates.pem)


async def echo_until_silent(wire):
    """A handler: sends back what comes, and closes when nothing does."""
    try:
        await wire.open()
        while True:
            async with asyncio.timeout(0.2):
                opcode, payload = await wire.frame()
            await wire.send(frame(FIN | opcode, payload))
            if opcode == CLOSE:
                return
    except TimeoutError:
        # The script's handler failed for want of memory, and the connection is open.
        await wire.send(BYE)
        await wire.rest()
    except (Ended, EOFError, ConnectionError):
        pass


def fail_each(target, *args):
    """Runs EACH, whose findings are none."""
    result = target.run(prepare(EACH), *args, timeout_s=100)
    assert result.status == 0, result
    assert len(result.lines) == 1, result
    assert result.lines[0].startswith("allocations ")
