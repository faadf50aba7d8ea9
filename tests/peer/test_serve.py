"""The server for asyncio, with clients that others wrote and with hostile ones."""

import asyncio
import base64
import socket
import struct
import textwrap
import time
import urllib.error
import urllib.request
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest
import websockets.asyncio.client
import websockets.exceptions
from peer.servers import CLOSE, FIN, MASK, PING, PONG, TEXT, accept_key, free_port

SIZES = [0, 1, 125, 126, 4000]
BIG_SIZES = [65535, 65536, 100_000]
RESET = struct.pack("ii", 1, 0)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="

# Stands before the scripts, which may define handler(ws) and options of serve(); GET /stop ends
# the server.
PRELUDE = """
import asyncio
import gc
import sys

from modwebsocket import aio, pump

async def handler(ws):
    async for message in ws:
        await ws.send(message, 1 if isinstance(message, str) else 2)

def page(path):
    if path == "/stop":
        server.close()
        return "stopping"
    if path == "/":
        return "<h1>grüße</h1>"
    if path == "/data?x=1":
        return "application/json", b"[1, 2]"
    if path == "/wrong":
        raise ValueError("wrong page")

options = {}
"""

END = """
async def main():
    global server
    server = await aio.serve(handler, None, int(sys.argv[1]), page=page, **options)
    print("serving")
    await server.wait_closed()
    assert not server.clients and not pump._links and not pump._by_sock
    # The board is no more when the script ends, and with it what is on its way.
    await asyncio.sleep_ms(100)

asyncio.run(main())
"""


class Served:
    """A script that serves.

    port, url: where.
    """

    def __init__(self, port, process):
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/"
        self.process = process

    def get(self, path="/"):
        """A plain GET: (status, headers, body)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read()

    def raw(self, data, end=False):
        """What comes back for these bytes until the server ends TCP.

        end: whether they end TCP, one way.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
            answer = b""
            while more := s.recv(4096):
                answer += more
        return answer


def reset(s):
    """Ends a socket's TCP by a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    s.close()


@pytest.fixture
def serving(target):
    """serving(script, errors) starts a script that serves, and returns its Served.

    errors: what it prints to stderr, str, in part. end: of the script.
    """
    started = []

    def serving(script="", errors="", end=END):
        port = free_port()
        target.forward(port)
        process = target.start(PRELUDE + textwrap.dedent(script) + textwrap.dedent(end), port)
        served = Served(port, process)
        started.append((served, errors))
        process.until("serving")
        return served

    yield serving
    for served, errors in started:
        for _ in range(3):
            # The answer may be lost with the board, or be a 408.
            with suppress(OSError):
                answer = served.get("/stop")
                if not answer or answer[0] == 200:
                    break
        served.result = served.process.result()
        assert served.result.status == 0, served.result
        assert (errors in served.result.errors) if errors else not served.result.errors


@pytest.fixture(params=["websockets", "aiohttp"])
def converse(request, loop):
    """converse(url, *messages, **options) sends them by a real client; returns what came back."""

    async def by_websockets(url, messages, origin=None, protocols=None):
        async with websockets.asyncio.client.connect(
            url, max_size=None, origin=origin, subprotocols=protocols, compression="deflate",
        ) as ws:
            converse.protocol = ws.subprotocol
            answers = []
            for message in messages:
                await ws.send(message)
                answers.append(await ws.recv())
        converse.code = ws.close_code
        return answers

    async def by_aiohttp(url, messages, origin=None, protocols=()):
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(
                url, max_msg_size=0, origin=origin, protocols=protocols or (), compress=15,
            ) as ws:
                converse.protocol = ws.protocol
                answers = []
                for message in messages:
                    await (ws.send_str if isinstance(message, str) else ws.send_bytes)(message)
                    answers.append((await ws.receive()).data)
        converse.code = ws.close_code
        return answers

    by = by_websockets if request.param == "websockets" else by_aiohttp

    def converse(url, *messages, **options):
        return loop.run(by(url, messages, **options), 30)

    return converse


def test_server_echoes_every_size(serving, target, converse):
    served = serving("options['max_message_len'] = 100000")
    messages = []
    for size in SIZES + target.fits(BIG_SIZES, []):
        messages += ["é." * (size // 3) + "." * (size % 3), b"\xff" * size]
    assert converse(served.url, *messages) == messages
    assert converse.code == 1000


def test_1000_messages_both_ways(serving, target, loop):
    served = serving()
    count = target.fits(1000, 300)

    async def client():
        async with websockets.asyncio.client.connect(served.url) as ws:
            async def feed():
                for i in range(count):
                    await ws.send(f"message {i}")

            task = asyncio.create_task(feed())
            for i in range(count):
                assert await ws.recv() == f"message {i}"
            await task

    loop.run(client(), 30)


def test_two_clients_at_once(serving, loop):
    served = serving()

    async def one(name):
        async with websockets.asyncio.client.connect(served.url) as ws:
            for i in range(50):
                await ws.send(f"{name} {i}")
                assert await ws.recv() == f"{name} {i}"

    async def both():
        await asyncio.gather(one("a"), one("b"))

    loop.run(both(), 30)


def test_server_chooses_the_sub_protocol_it_likes_best(serving, converse):
    served = serving("options['protocols'] = ('v2', 'v1')")
    assert converse(served.url, "x", protocols=["v1", "v2"]) == ["x"]
    assert converse.protocol == "v2"
    assert converse(served.url, "x", protocols=["other"]) == ["x"]
    assert converse.protocol is None


def test_handler_sees_the_request_and_closes_with_1000(serving, loop):
    served = serving("""
        async def handler(ws):
            await ws.send(ws.request.path + " " + ws.request.headers["x-token"])
    """)

    async def client():
        connecting = websockets.asyncio.client.connect(
            served.url + "room?n=1", additional_headers={"X-Token": "t"})
        async with connecting as ws:
            assert await ws.recv() == "/room?n=1 t"
            with pytest.raises(websockets.exceptions.ConnectionClosedOK) as e:
                await ws.recv()
            assert e.value.rcvd.code == 1000

    loop.run(client())


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (3333, "grüße")])
def test_codes_go_both_ways(serving, loop, code, reason):
    served = serving("""
        last = ["", ""]
        async def handler(ws):
            try:
                message = await ws.recv()
                code, reason = message.split(" ")
                await ws.close(int(code), reason)
            except aio.ConnectionClosed as e:
                last[:] = [str(e.code), e.reason]
        pages = page
        def page(path):
            return " ".join(last) if path == "/last" else pages(path)
    """)

    async def client():
        async with websockets.asyncio.client.connect(served.url) as ws:
            await ws.send(f"{code} {reason}")
            with pytest.raises(websockets.exceptions.ConnectionClosed) as e:
                await ws.recv()
            assert (e.value.rcvd.code, e.value.rcvd.reason) == (code, reason)
        async with websockets.asyncio.client.connect(served.url) as ws:
            await ws.close(code, reason)
            assert ws.close_code == code

    loop.run(client())
    assert served.get("/last")[2].decode() == f"{code} {reason}"


def test_handler_that_raises_closes_with_1011_and_the_server_goes_on(serving, loop):
    served = serving("""
        async def handler(ws):
            raise ValueError(await ws.recv())
    """, errors="ValueError: mine")

    async def client():
        async with websockets.asyncio.client.connect(served.url) as ws:
            await ws.send("mine")
            with pytest.raises(websockets.exceptions.ConnectionClosedError) as e:
                await ws.recv()
            assert e.value.rcvd.code == 1011

    for _ in range(2):
        loop.run(client())


def test_close_of_the_server_tells_the_clients(serving, loop):
    served = serving()

    async def client():
        async with websockets.asyncio.client.connect(served.url) as ws:
            await ws.send("x")
            assert await ws.recv() == "x"
            await asyncio.to_thread(served.get, "/stop")
            with pytest.raises(websockets.exceptions.ConnectionClosedOK) as e:
                await ws.recv()
            assert e.value.rcvd.code == 1001

    loop.run(client())
    served.get = lambda _path: None


def test_pings_go_both_ways(serving, loop):
    served = serving("""
        async def handler(ws):
            await ws.send(str(0 <= await ws.ping() < 3000))
            await asyncio.sleep(10)
    """)

    async def client():
        async with websockets.asyncio.client.connect(served.url) as ws:
            assert await ws.recv() == "True"
            # Answered while the handler sleeps.
            await asyncio.wait_for(await ws.ping(), 5)
            ws.transport.abort()

    loop.run(client())
    served.process.interrupt()
    served.get = lambda _path: None
    # Ctrl-C ends the loop and its handler.
    served.process.result = lambda: type("Ended", (), {"status": 0, "errors": ""})


# ---- Messages for all


@pytest.mark.not_on("lx106", "QEMU's network takes more than the test sends")
def test_broadcast_passes_by_a_slow_client(serving, loop):
    count = 400
    served = serving(f"""
        options["ping_interval_ms"] = 0
        options["close_timeout_ms"] = 500
        data = b"x" * 16000
        counts = []
        async def handler(ws):
            if await ws.recv() != "go":
                return await asyncio.sleep_ms(4000)
            for i in range({count}):
                counts.append(server.broadcast(data, 2))
                await asyncio.sleep_ms(2)
            await ws.send("%d %d %d" % (counts[0], counts[-1], len(server.clients)))
            print(server.broadcast("x", 1, True))
            await asyncio.sleep_ms(50)
            await ws.send(str(len(server.clients)))
    """)

    async def client():
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", served.port))
        slow.sendall(handshake() + masked(TEXT, b"slow"))
        await asyncio.sleep(0.2)
        async with websockets.asyncio.client.connect(served.url, max_queue=None) as ws:
            await ws.send("go")
            sizes = []
            while not isinstance(message := await ws.recv(), str):
                sizes.append(len(message))
            assert len(sizes) == count
            # At first both get it, then one; both stay until the slow one is dropped.
            assert message == "2 1 2"
            assert await ws.recv() == "x"
            assert await ws.recv() in ("1", "2")
        slow.close()

    loop.run(client(), 30)


# ---- Pages


def test_page_by_plain_get(serving):
    served = serving(errors="ValueError: wrong page")
    status, headers, body = served.get("/")
    assert (status, body.decode()) == (200, "<h1>grüße</h1>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    status, headers, body = served.get("/data?x=1")
    assert (status, headers["Content-Type"], body) == (200, "application/json", b"[1, 2]")
    assert served.get("/nothing")[0] == 404
    assert served.get("/wrong")[0] == 500
    head = served.raw(b"HEAD / HTTP/1.0\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Length: 16" in head
    assert head.endswith(b"\r\n\r\n")


def test_big_page_is_whole(serving, target):
    size = target.fits(1_000_000, 8000)
    served = serving(f"""
        pages = page
        big = b"0123456789" * {size // 10}
        def page(path):
            return big if path == "/big" else pages(path)
    """)
    assert served.get("/big")[2] == b"0123456789" * (size // 10)


# ---- Hostile requests


def handshake(*, path="/", method="GET", version="HTTP/1.1", **replaced):
    """A request's bytes.  replaced: Header_Name="value" or None."""
    headers = {
        "Host": "x",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    headers.update((name.replace("_", "-"), value) for name, value in replaced.items())
    lines = [f"{method} {path} {version}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode()


def masked(opcode, payload=b""):
    """A client's frame, with a key of zeros."""
    return bytes((FIN | opcode, MASK | len(payload))) + bytes(4) + payload


HOSTILE = [
    ("not HTTP", b"\x16\x03\x01\r\n\r\n", 400),
    ("no version", b"GET /\r\n\r\n", 400),
    ("HTTP/2", handshake(version="HTTP/2.0"), 505),
    ("HTTP/1.0", handshake(version="HTTP/1.0"), 400),
    ("version text", handshake(version="HTTP/1.x"), 400),
    ("POST", handshake(method="POST"), 405),
    ("HEAD", handshake(method="HEAD"), 405),
    ("POST a page", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("body", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123456789", 400),
    ("chunked", handshake(Transfer_Encoding="chunked"), 400),
    ("no Host", handshake(Host=None), 400),
    ("two Hosts", handshake(host="y"), 400),
    ("Connection", handshake(Connection="close"), 400),
    ("no Connection", handshake(Connection=None), 400),
    ("no key", handshake(Sec_WebSocket_Key=None), 400),
    ("short key", handshake(Sec_WebSocket_Key=base64.b64encode(b"15 bytes, short").decode()), 400),
    ("long key", handshake(Sec_WebSocket_Key=base64.b64encode(bytes(17)).decode()), 400),
    ("key no base64", handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j-Q=="), 400),
    ("two keys", handshake(sec_websocket_key=KEY), 400),
    ("version 8", handshake(Sec_WebSocket_Version="8"), 426),
    ("no version of ours", handshake(Sec_WebSocket_Version=None), 400),
    ("origin", handshake(Origin="http://evil"), 403),
    ("no origin", handshake(), 403),
    ("header without a name", b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
    ("header without a colon", b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
    ("folded header", b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
    ("space before colon", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    ("not UTF-8", b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400),
    ("path without slash", b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("path with control", b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("long path", b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n", 414),
    ("long head", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 900, 431),
    ("long header", handshake(Cookie="x" * 5000), 431),
    ("endless line", b"GET / HTTP/1.1\r\nA: " + b"x" * 6000, 431),
]


def test_hostile_requests_are_refused(serving):
    served = serving("options['origins'] = ('http://good',)")
    for name, request, status in HOSTILE:
        # What has not ended the server reads for a while; the last one shows that.
        answer = served.raw(request, end=name != "endless line")
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (name, answer)
        assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in served.raw(
        handshake(Sec_WebSocket_Version="12"))
    assert b"\r\nAllow: GET" in served.raw(handshake(method="PUT"))
    answer = served.raw(handshake(Origin="http://good", Cookie="c" * 2000) + masked(CLOSE))
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert f"Sec-WebSocket-Accept: {accept_key(KEY)}\r\n".encode() in answer
    assert answer.endswith(b"\r\n\r\n" + bytes((FIN | CLOSE, 0)))


def test_request_byte_by_byte_with_frames_behind_it(serving):
    served = serving()
    data = handshake() + masked(TEXT, b"early") + masked(PING, b"p") + masked(CLOSE, b"\x03\xe8")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(handshake()) - 4):
            s.send(data[i : i + 1])
            time.sleep(0.001)
        s.send(data[i + 1 :])
        answer = b""
        while more := s.recv(4096):
            answer += more
    frames = answer.partition(b"\r\n\r\n")[2]
    assert bytes((FIN | PONG, 1)) + b"p" in frames
    assert frames.endswith(bytes((FIN | CLOSE, 2)) + b"\x03\xe8")


@pytest.mark.parametrize(("frames", "code"), [
    (bytes((FIN | TEXT, 1)) + b"x", 1002),
    (masked(3), 1002),
    (masked(TEXT, b"\xff"), 1007),
    (bytes((FIN | TEXT, MASK | 126, 0x40, 0x01)) + bytes(4), 1009),
], ids=["unmasked", "opcode", "text", "too big"])
def test_broken_frames_end_with_their_code(serving, frames, code):
    served = serving("options['close_timeout_ms'] = 300")
    answer = served.raw(handshake() + frames)
    assert answer.endswith(bytes((FIN | CLOSE, 2)) + code.to_bytes(2, "big")), answer


def test_slow_request_gets_408(serving, target):
    # lwIP may tell of a request's first bytes 250 ms late.
    served = serving(f"options['request_timeout_ms'] = {target.fits(200, 1500)}")
    start = time.monotonic()
    assert served.raw(b"GET / HTTP/1.1\r\nHo").startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - start < 5


def test_one_connection_too_many_gets_503_and_pages_go_on(serving, loop):
    served = serving("options['max_connections'] = 1")

    async def client():
        async with websockets.asyncio.client.connect(served.url) as ws:
            answer = await asyncio.to_thread(served.raw, handshake())
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert (await asyncio.to_thread(served.get, "/"))[0] == 200
            await ws.send("x")
            assert await ws.recv() == "x"
        # The server may still be about to notice.
        async with asyncio.timeout(5):
            while True:
                with suppress(websockets.exceptions.InvalidStatus):
                    async with websockets.asyncio.client.connect(served.url) as ws:
                        await ws.send("again")
                        assert await ws.recv() == "again"
                    break

    loop.run(client())


def test_connections_that_say_nothing_do_not_keep_others_out(serving, target):
    served = serving("options.update(max_connections=1, request_timeout_ms=300)")
    silent = [socket.create_connection(("127.0.0.1", served.port))
              for _ in range(target.fits(5, 2))]
    assert served.get("/")[0] == 200
    for s in silent:
        s.close()


def test_hang_ups_at_every_byte_leave_nothing(serving, target):
    served = serving()
    data = handshake() + masked(TEXT, b"x")
    for i, end in enumerate(range(0, len(data), 7)):
        with socket.create_connection(("127.0.0.1", served.port)) as s:
            s.sendall(data[:end])
        # lwIP has five connections, and may note a hang-up a second late.
        if i % target.fits(8, 1) == 0:
            assert served.get("/")[0] == 200


def test_resets_do_not_hurt_a_busy_server(serving):
    # modlwip crashes at an option of a socket that was reset; see server.py.
    served = serving("""
        from time import sleep_ms
        async def busy():
            while True:
                sleep_ms(30)
                await asyncio.sleep_ms(0)
        asyncio.create_task(busy())
    """)
    for _ in range(8):
        s = socket.create_connection(("127.0.0.1", served.port))
        time.sleep(0.04)
        reset(s)
    assert served.get("/")[0] == 200


# Five connections fit the board's memory.
SMALL = """
        options.update(rx_len=256, tx_len=256)
"""


def all_at_once(served):
    """Four WebSockets and a page: lwIP's five connections, which must be free."""

    async def clients():
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            for i in range(4):
                ws = await stack.enter_async_context(
                    websockets.asyncio.client.connect(served.url))
                await ws.send(str(i))
                assert await ws.recv() == str(i)
            assert (await asyncio.to_thread(served.get, "/"))[0] == 200

    return clients()


def test_server_that_closes_forgets_who_waits_to_be_accepted(serving, loop):
    served = serving(SMALL + """
        from time import sleep_ms
        pages = page
        def page(path):
            if path != "/busy":
                return pages(path)
            sleep_ms(300)
            server.close()
    """, end="""
        async def main():
            global server
            for _ in range(3):
                server = await aio.serve(handler, None, int(sys.argv[1]), page=page, **options)
                print("serving")
                await server.wait_closed()
            await asyncio.sleep_ms(100)
        asyncio.run(main())
    """)
    for _ in range(2):
        busy = socket.create_connection(("127.0.0.1", served.port))
        busy.sendall(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        waiting = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3)]
        while busy.recv(4096):
            pass
        for s in (busy, *waiting):
            s.close()
        served.process.until("serving")
    loop.run(all_at_once(served), 30)


def test_200_connections_of_all_kinds_leave_nothing(serving, loop):
    served = serving(SMALL + """
        options["request_timeout_ms"] = 1000
        pages = page
        def page(path):
            if path != "/heap":
                return pages(path)
            gc.collect()
            return str(gc.mem_free())
    """)
    data = handshake() + masked(TEXT, b"x")

    def page():
        assert served.get("/")[0] == 200

    def refused():
        assert served.raw(b"PUT / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")

    def left(end, how):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as s:
            s.sendall(data[:end])
            if end == len(data):
                while not s.recv(4096).endswith(b"x"):
                    pass
            how(s)

    def close(s):
        s.sendall(masked(CLOSE, b"\x03\xe8"))
        while s.recv(4096):
            pass

    kinds = [page, refused, lambda: left(len(data), close)]
    kinds += [lambda end=end, how=how: left(end, how)
              for end in (0, 20, len(data) - 1, len(data)) for how in (reset, socket.socket.close)]

    def heap():
        return max(int(served.get("/heap")[2]) for _ in range(5))

    for i in range(200):
        if i == 2 * len(kinds):
            free = heap()
        kinds[i // 2 % len(kinds)]() if i % 2 else page()
    # The last ones' end may not have come to its notice.
    end = time.monotonic() + 10
    while heap() < free - 256:
        assert time.monotonic() < end, (heap(), free)

    loop.run(all_at_once(served), 30)


def test_without_a_page_a_plain_get_gets_426(target):
    port = free_port()
    target.forward(port)
    script = """
        import asyncio, sys
        from modwebsocket import aio
        async def handler(ws):
            server.close()
        async def main():
            global server
            async with await aio.serve(handler, "127.0.0.1" if sys.platform == "linux" else None,
                                       int(sys.argv[1])) as server:
                print("serving")
                await server.wait_closed()
        asyncio.run(main())
    """
    process = target.start(script, port)
    served = Served(port, process)
    process.until("serving")
    status, headers, _ = served.get("/")
    assert (status, headers["Upgrade"], headers["Sec-WebSocket-Version"]) == (
        426, "websocket", "13")
    assert served.raw(handshake() + masked(CLOSE)).startswith(b"HTTP/1.1 101 ")
    result = process.result()
    assert (result.status, result.errors) == (0, ""), result
