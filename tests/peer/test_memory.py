"""Not enough memory: for what the server announces, for what the user sends, at any moment."""

import asyncio
import socket
import textwrap

import pytest
from peer.conftest import prepare
from peer.servers import BINARY, CLOSE, FIN, TEXT, Ended, close_payload, frame
from peer.test_serve import free_port

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


# The other styles: `session()` is the user's, `run(n)` has the n-th allocation in it fail and
# returns (what came of it, how many there were). Beside what `session` returns, that is an error
# that says so. Afterwards nothing may be left, not a socket either, and it must work again.
IN_TURN = """
    import failalloc
    import os
    import socket
    import sys
    from time import ticks_diff, ticks_ms

    import modwebsocket
    from modwebsocket import aio, pump

    url = sys.argv[1]
    big = "x" * 3000
    options = {"close_timeout_ms": 300, "ping_interval_ms": 1000}

    def name(error):
        if isinstance(error, aio.ConnectionClosed):
            return "closed: " + error.cause
        if isinstance(error, OSError) and error.errno < 0:
            return error.errno  # mbedTLS's
        return type(error).__name__

    class Sockets:
        # In place of the module: on unix, socket() opens before it allocates.
        lost = 0

        def socket(self, family, kind):
            try:
                return socket.socket(family, kind)
            except MemoryError:
                Sockets.lost += 1
                raise

    sockets = modwebsocket.link.socket = Sockets()
    for attribute in dir(socket):
        if attribute != "socket":
            setattr(sockets, attribute, getattr(socket, attribute))

    OUTCOMES = ["done", "MemoryError", "closed: memory"]

    def ok(what):
        return what in OUTCOMES or isinstance(what, int)

    def in_turn(run, settle, step=1):
        # The first ones load modules and fill caches.
        for _ in range(3):
            assert run(0)[0] == "done"
        settle()
        before = len(os.listdir("/proc/self/fd"))
        seen = {}
        n = 0
        while True:
            n += step
            what, count = run(n)
            seen[what] = seen.get(what, 0) + 1
            if not ok(what):
                print("at", n, what)
            if count < n:
                break
            what = run(0)[0]
            if what != "done":
                print("after", n, what)
            settle()
            if pump._links or pump._by_sock:
                print("after", n, "left", [(link.stage, link.cause) for link in pump._links])
            leaked = len(os.listdir("/proc/self/fd")) - before - Sockets.lost
            if leaked:
                print("after", n, "descriptors", leaked)
                before += leaked
        print("allocations", n, sorted(seen.items(), key=str))
"""

IN_ASYNCIO = IN_TURN + """
    import asyncio

    async def dog(n):
        await asyncio.sleep(6)
        print("at", n, "it waits for ever")
        sys.exit(1)

    async def guarded(n):
        watch = asyncio.create_task(dog(n))
        await asyncio.sleep_ms(0)
        failalloc.after(n)
        try:
            what = await session() or "done"
        except Exception as e:
            what = name(e)
        count = failalloc.count()
        failalloc.after(0)
        watch.cancel()
        return what, count

    def run(n):
        try:
            return asyncio.run(guarded(n))
        except MemoryError:
            # The loop's own.
            count = failalloc.count()
            failalloc.after(0)
            asyncio.new_event_loop()
            return "MemoryError", count

    async def none_left():
        for _ in range(500):
            if not pump._links:
                return
            await asyncio.sleep_ms(10)

    def settle():
        if pump._links:
            asyncio.run(none_left())
"""

SESSIONS = {
    "talk": """
        ws = await aio.connect(url, **options)
        try:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            await ws.ping()
        finally:
            await ws.close()
    """,
    "big": """
        async with aio.connect(url, **options) as ws:
            await ws.send(big)
            async for message in ws:
                assert message == big
                break
    """,
}


@pytest.mark.parametrize("what", SESSIONS)
def test_each_allocation_in_asyncio_may_fail(serve, failalloc, what):
    server = serve(echo_until_idle)
    session = "    async def session():" + textwrap.indent(SESSIONS[what], "    ")
    script = IN_ASYNCIO + session + "\n    in_turn(run, settle)\n"
    result = fail_in_turn(failalloc, script, server.url)
    assert "Task exception wasn't retrieved" not in result.errors, result


@pytest.mark.parametrize(("of", "step"), [("heap", 3), ("calloc", 1999)])
def test_allocations_in_asyncio_with_tls_may_fail(serve, failalloc, certificates, of, step):
    # On unix mbedTLS takes its memory from the C library.
    server = serve(echo_until_idle, tls=certificates.server())
    session = "    async def session():" + textwrap.indent(SESSIONS["talk"], "    ")
    script = IN_ASYNCIO + session + f"""
    options["cadata"] = sys.argv[2]
    options["connect_timeout_ms"] = 1000
    OUTCOMES.append("OSError")  # in the last steps mbedTLS keeps it for itself, until the deadline
    after, count = failalloc.after, failalloc.count
    failalloc = type("", (), {{"after": lambda n: after(n, {of == "calloc"}), "count": count}})
    in_turn(run, settle, {step})
"""
    fail_in_turn(failalloc, script, server.url, certificates.pem)


# Blocking: as a user writes it.
CALLS = {
    "talk": """
        with modwebsocket.connect(url, timeout_ms=3000, **options) as ws:
            ws.send("hello")
            assert ws.recv(3000) == "hello"
            ws.ping()
    """,
    "big": """
        with modwebsocket.connect(url, timeout_ms=3000, **options) as ws:
            ws.send(big)
            assert ws.recv(3000) == big
    """,
    "parts": """
        with modwebsocket.connect(url, timeout_ms=3000, parts=True, max_unread_len=100,
                                  **options) as ws:
            ws.send_stream((b"x" * 100 for _ in range(4)))
            buf = bytearray(70)
            n = 0
            while True:
                n += ws.recv_into(buf, 3000)
                if ws.final:
                    break
            assert n == 400, n
    """,
    "lua_http": """
        from lua_compat import lua_http
        from lua_compat.lua_http import check
        ws = lua_http.new_from_uri(url, **options)
        try:
            check(ws.connect(3))
            check(ws.send("hello", None, 3))
            assert check(ws.receive(3)) == "hello"
            frame = {"FIN": True, "MASK": True, "opcode": 1, "data": "raw"}
            check(ws.send_frame(frame, 3))
            assert check(ws.receive(3)) == "raw"
        except OSError as e:
            if e.errno == 1009 or (e.errno == 32 and ws.receive(3)[2] == 1009):
                return 1009
            raise
        finally:
            try:
                ws.close()
            except MemoryError:
                ws.close()  # whose call alone takes memory
    """,
}

IN_CALLS = IN_TURN + """
    def run(n):
        failalloc.after(n)
        try:
            what = session() or "done"
        except Exception as e:
            what = name(e)
        count = failalloc.count()
        failalloc.after(0)
        for link in pump._links:
            if not link.cause:
                print("at", n, "nobody closes it")
        return what, count

    def settle():
        for _ in range(500):
            if not modwebsocket.step(10):
                return
"""


@pytest.mark.parametrize("what", CALLS)
def test_each_allocation_in_blocking_calls_may_fail(serve, failalloc, what):
    server = serve(echo_until_idle)
    session = "    def session():" + textwrap.indent(CALLS[what], "    ")
    fail_in_turn(failalloc, IN_CALLS + session + "\n    in_turn(run, settle)\n", server.url)


# Its server's side; the other end is TCP alone.
IN_ACCEPTING = IN_CALLS + """
    from modwebsocket import accepting, blocking

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    address = socket.getaddrinfo("127.0.0.1", int(url))[0][-1]
    listener.bind(address)
    listener.listen(1)

    def session(incoming, peer):
        request = incoming.request(2000)
        ws = incoming.open(request.answer(request.check()), timeout_ms=2000, close_timeout_ms=200)
        assert ws.recv(2000) == "hello"
        ws.send("back")
        peer.write(b"\\x88\\x82\\0\\0\\0\\0\\x03\\xe8")
        try:
            ws.recv(2000)
        except aio.ConnectionClosed as e:
            if e.code != 1000:
                raise

    def run(n):
        peer = socket.socket()
        peer.connect(address)
        sock = listener.accept()[0]
        peer.write(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\n"
                   b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
                   b"\\x81\\x85\\0\\0\\0\\0hello")
        incoming = None
        failalloc.after(n)
        try:
            incoming = accepting.Incoming(sock)
            session(incoming, peer)
            what = "done"
        except Exception as e:
            what = name(e)
        count = failalloc.count()
        failalloc.after(0)
        (incoming or sock).close()
        peer.close()
        settle()
        assert not blocking._open
        return what, count
"""


def test_each_allocation_in_accepting_may_fail(failalloc):
    fail_in_turn(failalloc, IN_ACCEPTING + "\n    in_turn(run, settle)\n", free_port())


# A Reconnecting that the server closes after one message, twice: it ends when it is told to.
IN_RECONNECTING = IN_CALLS + """
    from modwebsocket.reconnect import Policy
    from modwebsocket.reconnecting import Reconnecting

    def session():
        texts = 0
        ended = None
        again = None

        def handler(event, data):
            nonlocal texts, ended
            if event == 1:
                texts += 1
                if texts == 2:
                    again.close()
            elif event == 5:
                ended = again.link.cause if again.link else "no link"

        again = Reconnecting(url, handler, Policy(1, 5), **options)
        start = ticks_ms()
        while ended is None:
            modwebsocket.step(100)
            if ticks_diff(ticks_ms(), start) > 400:
                again.close()  # what failed was the handler's own
            if ticks_diff(ticks_ms(), start) > 4000:
                return "it waits for ever"
        return "done" if texts == 2 else "ended"

    OUTCOMES.append("ended")
"""


def test_each_allocation_in_reconnecting_may_fail(serve, failalloc):
    async def greet(wire):
        try:
            await wire.open(frame(FIN | TEXT, "hello") + frame(FIN | CLOSE, close_payload(1001)))
            await wire.rest()
        except (EOFError, ConnectionError):
            pass

    script = IN_RECONNECTING + "\n    in_turn(run, settle)\n"
    fail_in_turn(failalloc, script, serve(greet).url)


# The server, with a client in the same process: what fails there is its own affair.
IN_SERVER = IN_ASYNCIO + """
    import socket
    from asyncio import core
    from modwebsocket import _loop

    def request(path, *headers):
        lines = ["GET %s HTTP/1.1" % path, "Host: x"] + list(headers) + ["", ""]
        return "\\r\\n".join(lines).encode()

    REQUEST = request("/", "Upgrade: websocket", "Connection: Upgrade",
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
    PAGE = request("/page")
    HELLO = b"\\x81\\x85\\0\\0\\0\\0hello"
    CLOSE = b"\\x88\\x82\\0\\0\\0\\0\\x03\\xe8"

    async def handle(ws):
        async for message in ws:
            await ws.send(message)

    async def read(sock, until):
        got = b""
        start = ticks_ms()
        while ticks_diff(ticks_ms(), start) < patience_ms:
            data = sock.read(500)
            if data:
                got += data
            elif data is not None:
                return got
            if until and got.endswith(until):
                return got
            await asyncio.sleep_ms(1)
        return b""  # unix's accept() had it, and then no memory

    async def talk(sock):
        if mode == "page":
            sock.write(PAGE)
            return (await read(sock, b"")).endswith(b"a page")
        sock.write(REQUEST)
        if not (await read(sock, b"\\r\\n\\r\\n")).startswith(b"HTTP/1.1 101"):
            return False
        sock.write(HELLO)
        if await read(sock, b"hello") != b"\\x81\\5hello":
            return False
        sock.write(CLOSE)
        return await read(sock, b"") == b"\\x88\\2\\x03\\xe8"

    async def visit(n):
        global patience_ms
        sock = socket.socket()
        sock.connect(address)
        sock.setblocking(False)
        watch = asyncio.create_task(dog(n))
        await asyncio.sleep_ms(0)
        patience_ms = 500 if n else 5000
        failalloc.after(n)
        try:
            what = "done" if await talk(sock) else "refused"
        except Exception as e:
            what = name(e)
        count = failalloc.count()
        failalloc.after(0)
        watch.cancel()
        sock.close()
        while server._tasks or pump._links:
            await asyncio.sleep_ms(1)
        return what, count

    async def main():
        global server, address
        # A port that is free.
        sock = socket.socket()
        sock.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
        for port in range(20000 + os.getpid() % 20000 if hasattr(os, "getpid") else 23456, 65000):
            try:
                server = await aio.serve(handle, "127.0.0.1", port, page="a page",
                                         request_timeout_ms=3000, ping_interval_ms=3000,
                                         close_timeout_ms=200)
                break
            except OSError:
                pass
        address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
        sock.close()
        for _ in range(3):
            assert (await visit(0))[0] == "done"
        before = len(os.listdir("/proc/self/fd"))
        leaked = n = 0
        seen = {}
        while True:
            n += 1
            what, count = await visit(n)
            seen[what] = seen.get(what, 0) + 1
            if count < n:
                break
            what = (await visit(0))[0]
            if what != "done":
                print("after", n, what)
            now = len(os.listdir("/proc/self/fd"))
            if now != before:
                leaked += now - before
                # accept()'s, which on unix has one before it allocates four things.
                if leaked > 4:
                    print("after", n, "descriptors", now - before)
                before = now
        print("allocations", n, sorted(seen.items(), key=str))
        server.close()

    mode = sys.argv[1]
    asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["echo", "page"])
def test_each_allocation_of_a_server_may_fail(failalloc, mode):
    fail_in_turn(failalloc, IN_SERVER, mode)


async def echo_until_silent(wire, silence_s=0.2):
    """A handler: sends back what comes, and closes when nothing does."""
    try:
        await wire.open()
        while True:
            async with asyncio.timeout(silence_s):
                first, payload = await wire.fragment()
            await wire.send(frame(first, payload))
            if first & 15 == CLOSE:
                return
    except TimeoutError:
        # The script's handler failed for want of memory, and the connection is open.
        await wire.send(BYE)
        await wire.rest()
    except (Ended, EOFError, ConnectionError):
        pass


async def echo_until_idle(wire):
    """As that, for those who always close: only when they had no memory for it."""
    tcp = wire.writer.get_extra_info("socket")
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # many small fragments
    await echo_until_silent(wire, 1)


def fail_each(target, *args):
    """Runs EACH, whose findings are none."""
    result = target.run(prepare(EACH), *args, timeout_s=100)
    assert result.status == 0, result
    assert len(result.lines) == 1, result
    assert result.lines[0].startswith("allocations ")


def fail_in_turn(target, script, *args):
    """Runs a script of IN_TURN, whose findings are none; returns the Result."""
    result = target.run(script, *args, timeout_s=110)
    assert result.status == 0, result
    assert len(result.lines) == 1, result
    assert result.lines[0].startswith("allocations "), result
    return result
