"""Q-SYS's `WebSocket`: the API of the Lua scripts in an audio core, on MicroPython.

    from lua_compat.qsys import WebSocket

    ws = WebSocket.New()
    ws.Connected = lambda ws: ws.Write("Hey!")
    ws.Data = lambda ws, data: print(data)
    ws.Connect("ws", "echo.example.com", "/", 80)

Differs: `:` is `.`, `nil` is None, a table is a dict; text arrives as str, binary as bytes.
Source: https://help.qsys.com/, "WebSocket Protocol"
"""

from errno import ENOTCONN

from micropython import const

from modwebsocket import Link
from modwebsocket.handlers import Handler
from modwebsocket.pump import load_handshake

# See modwebsocket.events.
_OPENED = const(3)
_ENDED = const(5)
_TEXT = const(1)
_BINARY = const(2)
_PING = const(9)
_PONG = const(10)


class WebSocket:
    """A client; it can connect as often as you like, to one server at a time.

    Handlers, None or functions that may take fewer arguments, to be set at any time:
    Connected (ws), Data (ws, data: str if it was sent as text, else bytes), Error (ws, err: str,
    what failed), Closed (ws), Pong (ws).
    A failure before Connected calls Error alone, one after it Error and Closed, the end of
    either side's wish Closed alone.
    Beyond Q-SYS, for the next Connect(): CaData, Pin: whom to trust in wss://, see
    modwebsocket.secure.Tls, default None and None: any server.
    ChunkLen: 16384 has Data called as on Q-SYS, with at most so many characters or bytes of a
    message at a time, default 0: with a whole one.
    Read-only, beyond Q-SYS: CloseCode, CloseReason: of the server's close frame (RFC 6455 §7.4),
    1006 and "" if it sent none.
    """

    Connected = None
    Data = None
    Error = None
    Closed = None
    Pong = None
    CaData = None
    Pin = None
    ChunkLen = 0

    @staticmethod
    def New():
        """Return a new client, idle.  Source: Q-SYS, WebSocket.New()."""
        return WebSocket()

    def __init__(self):
        """A new client, idle."""
        self.CloseCode = 1006
        self.CloseReason = ""
        self._link = None
        self._told = {}  # name of a handler -> its Handler

    def __repr__(self):
        return "websocket"

    @property
    def IsConnected(self):
        """True from Connected to the end or Close(); beyond Q-SYS, where TcpSocket has it."""
        link = self._link
        return link is not None and link.stage == "open" and not link.cause

    def Connect(self, protocol, host, url, port, sub_protocol=None, headers=None):
        """Connect; Connected or Error follows.

        protocol: "ws" or "wss". host: str, name or address. url: str, path and query, "" for "/".
        port: int, or str of digits. sub_protocol: str, the sub-protocols to offer; without, none.
        headers: dict of str; those of the protocol itself cannot be replaced.
        If there is a connection, or an attempt, it is closed and calls no handler any more.
        Raises ValueError, TypeError; MemoryError; for wss also OSError and NotImplementedError,
        see modwebsocket.Link.
        Source: Q-SYS, ws:Connect().
        """
        if protocol not in ("ws", "wss"):
            raise ValueError("protocol %r" % protocol)
        for mark in "/?#@":
            if mark in host:
                raise ValueError("host %r" % host)
        if ":" in host:
            host = "[" + host + "]"
        if url[:1] != "/":
            url = "/" + url
        trust = {"verify": False}
        if self.CaData or self.Pin:
            trust = {"cadata": self.CaData, "pin": self.Pin}
        old = self._link
        # At once: the background may serve it, and even end it, from the next call on.
        self._link = link = Link(
            "%s://%s:%d%s" % (protocol, host, int(port), url),
            lambda event, _: self._event(link, event),
            headers=(headers or {}).items(),
            defaults=(("Sec-WebSocket-Protocol", sub_protocol),) if sub_protocol else (),
            ping_interval_ms=0,
            **trust
        )
        link.on_message(_deliver, self, 2)
        if old:
            old.on_message(int, 0, 0)  # int() does nothing
            old.close()

    def Write(self, message, is_binary=False):
        """Send a message.

        message: str or bytes-like, UTF-8 unless is_binary. is_binary: True sends it as binary.
        Raises OSError(ENOTCONN) unless connected, OSError(ENOBUFS) if more than 64 KiB wait to be
        sent (nothing is taken then), ValueError, TypeError.
        Source: Q-SYS, ws:Write().
        """
        if not self.IsConnected:
            raise OSError(ENOTCONN)
        self._link.send(message, _BINARY if is_binary else _TEXT)

    def Close(self):
        """Close the connection, or give up the attempt; Closed follows.

        Does nothing if there is none. Source: Q-SYS, ws:Close().
        """
        link = self._link
        if link:
            link.close()

    def Ping(self):
        """Send a ping; Pong follows.  Does nothing unless connected.

        Source: Q-SYS, ws:Ping().
        """
        if self.IsConnected:
            try:
                self._link.send(b"", _PING)
            except OSError:
                pass  # it has just ended; or so much waits that a ping would say nothing

    # The frames down to a handler are few: it may well connect, and the stack is small.

    def _event(self, link, event):
        if link is not self._link:
            return
        name = "Closed"
        if event == _OPENED:
            name = "Connected"
            try:
                # Which the connection that this one replaced may have unloaded: up in the
                # handler the stack would be too short to import it.
                load_handshake()
            except MemoryError:
                pass
        elif event == _PONG:
            name = "Pong"
        elif event == _ENDED:
            self._link = None
            self.CloseCode = link.code
            self.CloseReason = link.reason
            if link.cause not in ("closed", "peer"):
                handler = self._handler("Error")
                if handler:
                    handler.attempt(2, _error_text(link))
                if self._link or link.stage not in ("open", "closing"):
                    return
        handler = self._handler(name)
        if handler:
            handler.call(1)

    def _handler(self, name):
        function = getattr(self, name)
        if function is None:
            return None
        handler = self._told.get(name)
        if handler is None or handler.function is not function:
            self._told[name] = handler = Handler(self, function)
        return handler


def _deliver(ws, data):
    chunk_len = ws.ChunkLen
    if chunk_len and len(data) > chunk_len:
        return _deliver_chunks(ws, data, chunk_len)
    handler = ws._handler("Data")
    if handler:
        handler.call(2, data)


def _deliver_chunks(ws, data, chunk_len):
    link = ws._link
    for i in range(0, len(data), chunk_len):
        handler = ws._handler("Data")
        if handler and ws._link is link and not link.cause:
            handler.attempt(2, data[i : i + chunk_len])


def _error_text(link):
    # The stage first.
    cause = link.cause
    stage = link.stage
    what = link.text or ("error %d" % link.errno if link.errno else cause)
    if cause == "deadline":
        what = "timeout"
    if cause == "http" and link.status:
        return "HTTP %d" % link.status
    if stage in ("open", "closing"):
        stage = "protocol"
        if cause in ("eof", "os", "health"):
            stage = "TCP"
        elif cause == "record":
            stage = "TLS"
    else:
        stage = stage.upper()
    return stage + ": " + what
