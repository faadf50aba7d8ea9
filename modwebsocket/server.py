"""A server of WebSockets, and of a small page, for asyncio.

Loaded by `aio.serve()` only.
"""

import os
import socket
import sys
from asyncio import TimeoutError, core, wait_for_ms

from micropython import const

from ._loop import wait
from .aio import ConnectionClosed, WebSocket, broadcast
from .connection import Connection
from .errors import HandshakeError
from .link import Link
from .upgrade import Request, refusal, response

_SERVER = const(1)
_OPEN = const(1)  # Connection.state
_SPARE = const(2)  # connections beside those of WebSockets: for pages and refusals
_QUEUE = const(5)  # as many connections as an ESP8266 has: what fits in no queue lwIP would reset
_LINGER_MS = const(300)
_RETRY_MS = const(100)


class Server:
    """What aio.serve() returns.

    clients: list of the open WebSockets.
    """

    def __init__(self, handler, host, port, page=None, protocols=(), origins=None,
                 max_connections=4, max_head_len=4096, request_timeout_ms=5000,
                 ping_interval_ms=30000, close_timeout_ms=5000, max_inbox=16,
                 max_inbox_len=16384, max_message_len=16384, **limits):
        """Listen.

        host: an address of this machine, None: all of them. port: int.
        handler: coroutine function, called with each WebSocket; when it returns the connection is
        closed with 1000, when it raises with 1011.
        page: what a GET gets that is no WebSocket's: bytes or str of HTML, for any path; or a
        function that is given the path and returns this, or a pair (content type, body), or None
        (404). Without, such a GET gets 426.
        protocols, origins: see upgrade.Request.check(). max_connections: WebSockets at once, one
        more gets 503. max_head_len: of a request, bytes. request_timeout_ms: for a request and
        its answer. max_inbox, max_inbox_len: see aio.WebSocket. The rest as Link has them.
        Raises OSError.
        """
        self._handler = handler
        self._page = page
        self._protocols = protocols
        self._origins = origins
        self._max_connections = max_connections
        self._max_head_len = max_head_len
        self._timeout_ms = request_timeout_ms
        self._timing = ping_interval_ms, close_timeout_ms
        self._inbox = max_inbox, max_inbox_len
        limits["max_message_len"] = max_message_len
        self._limits = limits
        self.clients = []
        self._tasks = []  # one per connection
        self._waiting = core.TaskQueue()  # for a connection's end
        # Made here: lwIP would read a frozen string byte by byte, which an ESP8266's flash is not
        # for.
        host = host or ".".join(("0",) * 4)
        address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
        self._sock = sock = socket.socket(address[0], address[1])
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address[-1])
            sock.listen(max_connections + _QUEUE)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        self._task = core.create_task(self._accept())

    def broadcast(self, data, opcode=1, drop=False):
        """Send a message to all clients: see aio.broadcast()."""
        return broadcast(self.clients, data, opcode, drop)

    def close(self, code=1001, reason=""):
        """Stop listening, and close all connections; wait_closed() waits for that."""
        if self._sock:
            self._task.cancel()
            try:
                # Who still waits there.  Closed with the listening socket, every second one would
                # stay in lwIP for good.
                while True:
                    self._sock.accept()[0].close()
            except (OSError, MemoryError):
                pass
            self._sock.close()
            self._sock = None
        for ws in self.clients:
            Link.close(ws, code, reason)
            if ws._full:
                ws._go_on()
        for entry in tuple(self._tasks):
            # Those whose request is not in; the others have their answer soon, or have not begun
            # (None): cancelled before its first step a task would not get to its `finally`.
            if entry[1] is False:
                entry[0].cancel()

    # async
    def wait_closed(self):
        """Wait until the server was closed and every handler has returned."""
        while self._sock or self._tasks:
            yield self._wait()

    async def __aenter__(self):
        return self

    async def __aexit__(self, _type, _error, _traceback):
        self.close()
        await self.wait_closed()

    def _wait(self):
        task = core.cur_task
        self._waiting.push(task)
        task.data = self._waiting

    def _accept(self):
        while True:
            while len(self._tasks) >= self._max_connections + _SPARE:
                # Who comes waits in the system's queue.
                yield self._wait()
            sock = entry = None
            try:
                yield wait(self._sock, 0)
                sock, _ = self._sock.accept()
                try:
                    # At once: lwIP crashes at an option of a socket that was reset meanwhile.
                    sock.setsockopt(6, getattr(socket, "TCP_NODELAY", 1), 1)
                except OSError:
                    pass
                sock.setblocking(False)
                entry = [None, None]
                self._tasks.append(entry)
                entry[0] = core.create_task(self._talk(sock, entry))
            except (OSError, MemoryError):
                # Gone again, or there is no room for it, and that may last.
                if sock:
                    sock.close()
                if entry in self._tasks:
                    self._tasks.remove(entry)
                yield from core.sleep_ms(_RETRY_MS)

    # async
    def _talk(self, sock, entry):
        # A connection from its first byte to its last.  entry: its [task, whether the request
        # is in; None: it has not begun].
        ws = answer = None
        try:
            entry[1] = False
            if not self._sock:
                raise OSError  # closed before this began
            conn = Connection(os.urandom(20), _SERVER, **self._limits)
            request = Request(self._max_head_len)
            answer = core.create_task(self._answer(sock, conn, request, entry))
            try:
                yield from wait_for_ms(answer, self._timeout_ms)
            except TimeoutError:
                if not request.status and conn.codec.write(refusal(408)):
                    conn.codec.flush(sock)
            if conn.state == _OPEN and self._sock:
                ws = WebSocket(*self._inbox)
                ws._accepted(sock, conn, request, *self._timing)
                sock = None  # the link's, from here on
                self.clients.append(ws)
                yield from self._handle(ws)
        except OSError:
            pass  # the peer has gone
        except MemoryError:
            if ws:
                ws._give_up()
        finally:
            if answer and not answer.done():
                answer.cancel()  # wait_for_ms() had no memory, and asyncio would wait for it yet
            if sock:
                sock.close()
            if ws in self.clients:
                self.clients.remove(ws)
            self._tasks.remove(entry)
            while self._waiting.peek():
                core._task_queue.push(self._waiting.pop())

    # async
    def _handle(self, ws):
        code = 1000
        try:
            yield from self._handler(ws)
        except ConnectionClosed:
            pass
        except core.CancelledError:
            Link.close(ws, 1001)
            raise
        except Exception as e:
            sys.print_exception(e, sys.stderr)
            code = 1011
        if ws in self.clients:
            self.clients.remove(ws)
        yield from ws.close(code)

    # async
    def _answer(self, sock, conn, request, entry):
        codec = conn.codec
        try:
            yield from self._read(sock, codec, request)
        except HandshakeError as e:
            yield from self._write(sock, codec, refusal(request.status, e.args[0]))
            # A socket closed with bytes unread would take it back.
            try:
                yield from wait_for_ms(self._drain(sock, codec), _LINGER_MS)
            except TimeoutError:
                pass
            return
        entry[1] = True
        body = b""
        opens = False
        try:
            if request.is_upgrade() or self._page is None:
                protocol = request.check(self._protocols, self._origins)
                if len(self.clients) >= self._max_connections:
                    request.status = 503
                    raise HandshakeError("too many connections")
                conn.protocol = protocol
                head = request.answer(protocol)
                opens = True
            else:
                request.check_http()
                head, body = self._get(request)
        except HandshakeError as e:
            head = refusal(request.status, e.args[0])
        except Exception as e:
            # The user's page, origins or protocols.
            sys.print_exception(e, sys.stderr)
            head = refusal(500)
        request.status = request.status or 200
        yield from self._write(sock, codec, head)
        if body and request.method != "HEAD":
            yield from self._write(sock, codec, body)
        if opens:
            conn.state = _OPEN

    def _get(self, request):
        # The page: (head, body).
        page = self._page
        kind = "text/html; charset=utf-8"
        if callable(page):
            page = page(request.path)
        if isinstance(page, tuple):
            kind, page = page
        if page is None:
            return refusal(404), b""
        body = page.encode() if isinstance(page, str) else bytes(page)
        return response(200, len(body), kind), body

    # async
    def _read(self, sock, codec, request):
        while True:
            try:
                line = codec.readline()
                cut = False
            except ValueError:
                line = codec.read()
                cut = True
            if line is None:
                yield wait(sock, 0)
                if codec.fill(sock) == 0:
                    raise OSError  # it has hung up
            elif request.feed(line, cut):
                return

    # async
    def _write(self, sock, codec, data):
        codec.write(data)
        result = codec.flush(sock)
        while result:
            if result > 0:
                raise OSError(result)
            yield wait(sock, 1)
            result = codec.flush(sock)

    # async
    def _drain(self, sock, codec):
        n = None
        while n != 0:
            codec.read()
            yield wait(sock, 0)
            n = codec.fill(sock)
