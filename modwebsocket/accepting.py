"""The server's side for scripts that wait: one connection, from its request on.

    incoming = accepting.Incoming(listener.accept()[0])
    request = incoming.request()
    ws = incoming.open(request.answer(request.check()))

What listens, and how many are served at once, is the script's; `aio.serve()` does that by itself.
"""

import os
import select
from errno import ECONNRESET, ETIMEDOUT
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from . import blocking, pump
from .connection import Connection
from .link import Link
from .upgrade import Request, refusal

_SERVER = const(1)
_OPEN = const(1)  # Connection.state
_READ_ON = const(2)  # see link.py

_SLICE_MS = const(20)  # for which the other links may wait
_LINGER_MS = const(300)


class _Link(Link):
    # Its handshake is done.

    def __init__(self, incoming, handler, ping_interval_ms, close_timeout_ms):
        self._start(incoming._conn, handler, ping_interval_ms, close_timeout_ms)
        self._sock = self._stream = incoming._sock
        self._blocked = False
        self.status = 101
        self.stage = "open"
        self._silent_at = ticks_ms()

    def _begin(self):
        self._conn.state = _OPEN
        pump._adopt(self)
        pump._watch(self)
        # What came behind the request.
        self._resume = _READ_ON
        pump._arm(self, 0)


class _Accepted(blocking.WebSocket):
    def __init__(self, incoming, timeout_ms, max_unread_len, parts, timing):
        self._prepare(timeout_ms, max_unread_len, parts)
        try:
            self.link = _Link(incoming, self._on_event, *timing)
            if parts:
                self.link.part = incoming._conn.codec.part
            self._is_open = True
            self._hear()
            self.link._begin()
            blocking._close_at_exit()
        except BaseException:
            if self.link in pump._links:
                incoming._sock = None
                self.link.abort("closed")
            else:
                blocking._open.remove(self)
            raise


class Incoming:
    """A TCP connection that a listening socket accepted."""

    def __init__(self, sock, role=_SERVER, max_head_len=4096, max_message_len=16384, **options):
        """sock: connected, it is this object's from here on. role: CLIENT for the other end of a
        connection whose handshake somebody else has done. max_head_len: of the request, bytes.
        max_message_len, options: of Connection. Raises ValueError, MemoryError.
        """
        self._parts = bool(options.get("parts"))
        self._conn = Connection(os.urandom(20), role, max_message_len=max_message_len,
                                **options)
        self._request = Request(max_head_len)
        self._sock = sock
        sock.setblocking(False)

    def request(self, timeout_ms=10000):
        """The upgrade.Request, once its head is complete; see there how to check and answer it.

        timeout_ms: how long to wait for it, -1: until it comes.
        Raises HandshakeError if it is malformed, OSError(ETIMEDOUT), after which this can be
        called again, OSError (the network), RuntimeError in a handler or an asyncio task.
        """
        blocking._check_here()
        codec = self._conn.codec
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        end_at = ticks_add(ticks_ms(), max(timeout_ms, 0))
        while True:
            try:
                line = codec.readline()
                cut = False
            except ValueError:
                line = codec.read()
                cut = True
            if line is not None:
                if self._request.feed(line, cut):
                    return self._request
                continue
            n = codec.fill(self._sock)
            if n == 0:
                raise OSError(ECONNRESET)
            if n is None:
                left = _SLICE_MS
                if timeout_ms >= 0:
                    left = min(left, ticks_diff(end_at, ticks_ms()))
                    if left < 0:
                        raise OSError(ETIMEDOUT)
                if pump._timer is None:
                    pump.step(0)
                for _ in poller.ipoll(left):
                    pass

    def open(self, head=b"", timeout_ms=10000, max_unread_len=4096, ping_interval_ms=30000,
             close_timeout_ms=5000):
        """Open the WebSocket, and answer with head: a blocking.WebSocket.

        head: bytes, what Request.answer() returned; b"": it has gone already. The others: see
        blocking.WebSocket and Link.
        Raises OSError(ETIMEDOUT), ConnectionClosed, after which there is no connection.
        """
        blocking._check_here()
        timing = ping_interval_ms, close_timeout_ms
        ws = _Accepted(self, timeout_ms, max_unread_len, self._parts, timing)
        self._sock = None
        if head:
            try:
                ws.send_raw(head)
            except BaseException:
                ws.link.abort("closed")
                raise
        return ws

    def refuse(self, status=0, text=""):
        """Answer that there is no WebSocket, and hang up.

        status: HTTP's, 0: that of the request that was refused, else 400. text: why.
        """
        if self._sock is None:
            return
        codec = self._conn.codec
        try:
            codec.write(refusal(status or self._request.status or 400, text))
            codec.flush(self._sock)
            self._drain(codec)
        except OSError:
            pass  # it has gone
        finally:
            self.close()

    def _drain(self, codec):
        # A socket closed with bytes unread would take back what was sent.
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        end_at = ticks_add(ticks_ms(), _LINGER_MS)
        left = _LINGER_MS
        n = None
        while n != 0 and left > 0:
            codec.read()
            for _ in poller.ipoll(left):
                pass
            n = codec.fill(self._sock)
            left = ticks_diff(end_at, ticks_ms())

    def close(self):
        """Hang up, if it was not opened."""
        if self._sock:
            self._sock.close()
            self._sock = None
