"""Servers for the tests to talk to: two that others wrote, and one that does as it is told.

All run in one asyncio loop in a thread of its own, so that a test may simply wait for its script.
A test gives a handler, a coroutine function that is called once per connection; what it returns
or raises is told by Server.result().
"""

import asyncio
import base64
import hashlib
import logging
import socket
import struct
import threading
import time
from concurrent.futures import Future
from contextlib import suppress

import lx106
import websockets.asyncio.server
import websockets.exceptions
from aiohttp import WSMsgType, web

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FIN = 0x80
MASK = 0x80
WAIT_S = 20  # for anything that a script is to do
HARD_S = 0.05  # QEMU's network loses what was sent less than this before a reset


# What goes wrong is told by Server.result(). Python 3.11 must not format tracebacks in this thread
# while pytest does so in another ("AST constructor recursion depth mismatch").
for name in ("websockets", "aiohttp", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def free_port():
    """A port on which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Loop:
    """An asyncio loop in a thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine, timeout_s=WAIT_S):
        """Runs a coroutine in the loop and returns its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout_s)

    def stop(self):
        """Ends the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)


class Server:
    """One server on a free port of this machine.

    port, url: where. count: connections that came.
    """

    def __init__(self, handler, refuse=None, wait_s=WAIT_S, tls=None):
        """handler: see above. refuse: of real servers, a HTTP status instead of an upgrade, or
        refuse(path), which returns (status, headers, body) or None.

        wait_s: how long the handler may take, and before it the opening handshake. tls: an
        ssl.SSLContext, for wss.
        """
        self._wait_s = wait_s
        self._handler = handler
        self._refuse = refuse
        self._tls = tls
        self._ends = []
        self._results = []
        self.host = "127.0.0.1"

    async def start(self, host, port):
        """Listens."""
        raise NotImplementedError

    async def stop(self):
        """Ends what is left."""
        raise NotImplementedError

    def _refusal(self, path):
        # What is answered instead of an upgrade: (status, headers, body), or None.
        if callable(self._refuse):
            return self._refuse(path)
        return (self._refuse, {}, "no\n") if self._refuse else None

    @property
    def url(self):
        """The address, with a path."""
        return f"{'wss' if self._tls else 'ws'}://{self.host}:{self.port}/"

    @property
    def board_url(self):
        """The same, for the emulated board."""
        return self.url.replace(self.host, lx106.HOST)

    @property
    def count(self):
        """Connections that came."""
        return len(self._results)

    def came(self, count, timeout_s=WAIT_S):
        """Waits until so many connections have come."""
        end = time.monotonic() + timeout_s
        while self.count < count:
            assert time.monotonic() < end, f"{self.count} connections came, not {count}"
            time.sleep(0.01)

    def result(self, i=0, timeout_s=WAIT_S):
        """What the handler of the i-th connection returned; raises what it raised."""
        assert i < self.count, f"connection {i} never came"
        return self._results[i].result(timeout_s)

    def served(self, result):
        """Waits for all handlers; what one raises tells the script's Result as well.

        What a handler saw says more about what went wrong than the script does.
        """
        try:
            for i in range(self.count):
                self.result(i)
        except BaseException as e:
            e.add_note(f"the script: {result}")
            raise

    async def _handle(self, peer):
        result = Future()  # not asyncio's: the test waits for it in its own thread
        self._results.append(result)
        try:
            async with asyncio.timeout(self._wait_s):
                result.set_result(await self._handler(peer))
        except asyncio.CancelledError:
            result.set_exception(AssertionError("the server's handler did not end"))
            raise
        except Exception as e:  # noqa: BLE001
            result.set_exception(e)


# ---- Servers that others wrote


class WebsocketsPeer:
    """A client, as PyPI's `websockets` sees it."""

    def __init__(self, connection):
        self.raw = connection
        self.path = connection.request.path
        self.headers = connection.request.headers

    async def send(self, message):
        """Sends a str or bytes."""
        await self.raw.send(message)

    async def recv(self):
        """The next message, str or bytes; None once the client closed."""
        try:
            return await self.raw.recv()
        except websockets.exceptions.ConnectionClosed:
            return None

    async def close(self, code=1000, reason=""):
        """Closes; returns when the client has answered."""
        await self.raw.close(code, reason)

    async def drop(self):
        """Ends TCP without a close frame."""
        self.raw.transport.abort()

    @property
    def close_code(self):
        """Of the client's close frame."""
        frame = self.raw.protocol.close_rcvd
        return frame.code if frame else 1006


class WebsocketsServer(Server):
    """PyPI's `websockets`."""

    async def start(self, host, port):
        def answer(connection, request):
            refusal = self._refusal(request.path)
            if not refusal:
                return None
            status, headers, body = refusal
            response = connection.respond(status, body)
            response.headers.update(headers)
            return response

        self._server = await websockets.asyncio.server.serve(
            lambda c: self._handle(WebsocketsPeer(c)), host, port,
            process_request=answer, max_size=None, ping_interval=None, close_timeout=2,
            open_timeout=self._wait_s, ssl=self._tls,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close(close_connections=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._server.wait_closed()


class AiohttpPeer:
    """A client, as PyPI's `aiohttp` sees it."""

    def __init__(self, request, connection):
        self.raw = connection
        self.path = request.path_qs
        self.headers = request.headers
        self._request = request
        self._seen = None

    async def send(self, message):
        """Sends a str or bytes."""
        if isinstance(message, str):
            await self.raw.send_str(message)
        else:
            await self.raw.send_bytes(message)

    async def recv(self):
        """The next message, str or bytes; None once the client closed."""
        message = await self.raw.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return message.data
        return None

    async def close(self, code=1000, reason=""):
        """Closes; returns when the client has answered."""
        await self.raw.close(code=code, message=reason.encode())

    async def drop(self):
        """Ends TCP without a close frame."""
        self._request.transport.abort()

    @property
    def close_code(self):
        """Of the client's close frame."""
        return self.raw.close_code


class AiohttpServer(Server):
    """PyPI's `aiohttp`."""

    async def start(self, host, port):
        async def handle(request):
            refusal = self._refusal(request.path_qs)
            if refusal:
                status, headers, body = refusal
                return web.Response(status=status, headers=headers, text=body)
            connection = web.WebSocketResponse(max_msg_size=0, timeout=2)
            await connection.prepare(request)
            await self._handle(AiohttpPeer(request, connection))
            return connection

        application = web.Application()
        application.router.add_get("/{path:.*}", handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._tls)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        await self._runner.cleanup()


# ---- A server that does as it is told


def frame(first, payload=b"", *, length=None):
    """A server's frame. first: opcode, with FIN. length: announced, if another one."""
    if isinstance(payload, str):
        payload = payload.encode()
    length = len(payload) if length is None else length
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return struct.pack(">BBH", first, 126, length) + payload
    return struct.pack(">BBQ", first, 127, length) + payload


def close_payload(code, reason=""):
    """The payload of a close frame."""
    return struct.pack(">H", code) + reason.encode()


def accept_key(key):
    """Sec-WebSocket-Accept of a Sec-WebSocket-Key, str."""
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1((key + guid).encode()).digest()).decode()


def reset(writer):
    """Ends TCP by a reset."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


class Ended(Exception):
    """The client ended TCP. args: ("eof",) or ("reset",)"""


class Wire:
    """One connection, byte by byte.

    head: of the request, bytes, once request() has read it.
    """

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.head = b""
        self._sent_at = 0  # of the loop's clock

    async def request(self):
        """Reads the request's head; returns it as bytes."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    def header(self, name):
        """The value of a header of the request."""
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    def answer(self, **replaced):
        """The head that accepts the request. replaced: Header_Name="value" or None."""
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_key(self.header("Sec-WebSocket-Key")),
        }
        headers.update((name.replace("_", "-"), value) for name, value in replaced.items())
        lines = ["HTTP/1.1 101 Switching Protocols"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([*lines, "", ""]).encode()

    async def open(self, behind=b""):
        """Accepts the request. behind: bytes that follow the head at once."""
        await self.request()
        await self.send(self.answer() + behind)

    async def send(self, data):
        """Sends bytes."""
        self.writer.write(data)
        await self.writer.drain()
        self._sent_at = asyncio.get_running_loop().time()

    async def frame(self):
        """Reads one frame, which must be masked and whole; returns (opcode, payload).

        Raises Ended.
        """
        first, payload = await self.fragment()
        assert first & FIN, "the client sent a fragment"
        return first & 15, payload

    async def fragment(self):
        """As frame(), but it may be a fragment; returns (opcode with FIN, payload)."""
        try:
            first, second = await self.reader.readexactly(2)
            assert second & MASK, "the client sent a frame without a mask"
            assert first & 0x70 == 0, "the client set a reserved bit"
            length = second & 127
            if length == 126:
                length = struct.unpack(">H", await self.reader.readexactly(2))[0]
                assert length > 125
            elif length == 127:
                length = struct.unpack(">Q", await self.reader.readexactly(8))[0]
                assert length > 65535
            key = await self.reader.readexactly(4)
            masked = await self.reader.readexactly(length)
        except asyncio.IncompleteReadError as e:
            assert not e.partial, "the client ended TCP within a frame"
            raise Ended("eof") from None
        except ConnectionError:
            raise Ended("reset") from None
        whole = int.from_bytes(masked, "little")
        keys = int.from_bytes((key * (length // 4 + 1))[:length], "little")
        return first, (whole ^ keys).to_bytes(length, "little")

    async def rest(self):
        """Reads frames until the client ends TCP; returns them as a list."""
        frames = []
        with suppress(Ended):
            while True:
                frames.append(await self.frame())
        return frames

    async def ended(self):
        """Waits until the client ends TCP; returns what it sent before, as bytes."""
        data = b""
        with suppress(ConnectionError):
            data = await self.reader.read()
        return data

    async def close(self):
        """Ends TCP in order."""
        if self.writer.can_write_eof():
            # Closed with something unread it would be reset.
            with suppress(OSError, TimeoutError):
                self.writer.write_eof()
                async with asyncio.timeout(HARD_S):
                    while await self.reader.read(4096):
                        pass
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def drop(self):
        """Ends TCP by a reset."""
        await asyncio.sleep(self._sent_at + HARD_S - asyncio.get_running_loop().time())
        reset(self.writer)


async def close(wire):
    """A handler: closes once it is open; returns the request's head, str."""
    await wire.open(frame(FIN | CLOSE, close_payload(1000)))
    await wire.rest()
    return wire.head.decode()


async def wait(wire, start=None):
    """A handler: answers a closing handshake; returns the frames that came.

    start: an asyncio.Event; before it nothing is read.
    """
    await wire.open()
    if start:
        await start.wait()
    frames = [await wire.frame()]
    while frames[-1][0] != CLOSE:
        frames.append(await wire.frame())
    await wire.send(frame(FIN | CLOSE, frames[-1][1]))
    await wire.close()
    return frames


class WireServer(Server):
    """The server that does as its handler says, byte by byte."""

    async def start(self, host, port):
        self._tasks = set()

        async def handle(reader, writer):
            self._tasks.add(asyncio.current_task())
            wire = Wire(reader, writer)
            try:
                await self._handle(wire)
            finally:
                writer.close()

        # A small window, so that a handler that does not read is felt soon.
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        listener.bind((host, port))
        self._server = await asyncio.start_server(
            handle, sock=listener, limit=32768, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()


KINDS = {"websockets": WebsocketsServer, "aiohttp": AiohttpServer, "wire": WireServer}
