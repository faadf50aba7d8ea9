"""Defold's `websocket` extension: the Lua game engine's API, on MicroPython.

    from lua_compat import defold as websocket

    def callback(self, conn, data):
        if data.event == websocket.EVENT_CONNECTED:
            websocket.send(conn, "hello", {"type": websocket.DATA_TYPE_TEXT})

    conn = websocket.connect("ws://echo.example.com/", {}, callback)

Differs: `nil` is None, a table is a dict; text arrives as str, binary as bytes.
Source: https://defold.com/extension-websocket/websocket_api/
"""

from errno import ENOTCONN

from micropython import const

from modwebsocket import Link
from modwebsocket.handlers import Handler

EVENT_CONNECTED = const(0)
EVENT_DISCONNECTED = const(1)
EVENT_MESSAGE = const(2)
EVENT_ERROR = const(3)
DATA_TYPE_TEXT = const(1)
DATA_TYPE_BINARY = const(2)

# See modwebsocket.events.
_OPENED = const(3)
_ENDED = const(5)


class Table:
    """What a callback is told: as in Lua, `data.event` is `data["event"]`, and absent is None.

    event: an EVENT_…. message: of EVENT_MESSAGE the payload, str or bytes; of EVENT_ERROR what
    failed; of EVENT_DISCONNECTED the reason that the server gave, or what failed, or "".
    type: beyond Defold, of EVENT_MESSAGE, a DATA_TYPE_….
    code: of EVENT_DISCONNECTED: the server's close code (RFC 6455 §7.4), 1005 if it gave none;
    1000 after disconnect(); 1006 if the connection was lost or there was none.
    handshake_response: of EVENT_ERROR, if the server's answer was no WebSocket: a Table with
    status (int), headers (dict of str, names in lower case) and response (str, or bytes if it is
    not UTF-8: the beginning of the body).
    """

    event: int
    message: object
    type: int
    code: int
    handshake_response: object

    def __init__(self, event=None, message=None):
        """A table with these fields, or none."""
        if event is not None:
            self.event = event
            self.message = message

    def __getattr__(self, key):
        return None

    def __getitem__(self, key):
        return getattr(self, key)


class Connection:
    """What connect() returns: a handle for the other functions."""

    def __init__(self, url, context, callback):
        """For connect() only."""
        self._url = url
        self._handler = Handler(context, callback)
        self._link = None  # from connect() to EVENT_DISCONNECTED

    def _event(self, event, payload):
        if event == _OPENED:
            self._handler.call(3, self, Table(EVENT_CONNECTED, ""))
        elif event <= DATA_TYPE_BINARY:
            data = Table(EVENT_MESSAGE, payload)
            data.type = event
            self._handler.call(3, self, data)
        elif event == _ENDED:
            # The callback may well connect again: the frames down to here are few.
            link = self._link
            if link.cause not in ("closed", "peer"):
                self._handler.attempt(3, self, _error(link, self._url))
            self._link = None
            self._handler.call(3, self, _disconnected(link))


def _disconnected(link):
    cause = link.cause
    data = Table(EVENT_DISCONNECTED, link.reason)
    data.code = 1000 if cause == "closed" else link.code
    if cause != "closed" and cause != "peer":
        data.message = link.reason or link.text or cause
    return data


def _error(link, url):
    data = Table(EVENT_ERROR, _error_text(link, url))
    answer = link.response
    if answer:
        data.handshake_response = table = Table()
        table.status = answer.status
        table.headers = answer.headers
        try:
            table.response = answer.body.decode()
        except ValueError:
            table.response = answer.body
    return data


def _error_text(link, url):
    # Defold's classes of texts; what follows is ours.
    cause = link.cause
    text = link.text
    what = text or (str(link.errno) if link.errno else cause)
    if cause == "deadline":
        return "Connect sequence timed out"
    if link.stage in ("open", "closing"):
        name = "CALLBACK_FAILURE"  # which wslay calls what its user's I/O did
        if cause in ("protocol", "text"):
            name = "PROTO"
        elif cause in ("too big", "memory", "reassembly"):
            name = "NOMEM"
        host = url[url.find("://") + 3 :]
        for mark in "/?#":
            host = host.split(mark, 1)[0]
        return "Websocket closing for %s (WSLAY_ERR_%s)" % (host.split("@")[-1], name)
    if cause == "http" and link.status:
        return "Wrong response status: %d" % link.status
    if text == "header too long":
        return "Receive buffer full: 8192 bytes"
    if text in ("not HTTP", "HTTP version", "header"):
        return "Failed to parse handshake response. '%s'" % text
    if cause == "handshake":
        return "Failed verifying handshake headers:\n%s: %s" % (
            text,
            link.response.headers.get(text.lower(), ""),
        )
    if link.stage == "http":
        return "Receive error: " + what
    return "Failed to open connection: " + what


def connect(url, params, callback):
    """Connect; the callback is told what happens, never before this returns.

    url: str, wss:// or https:// for TLS; any other scheme is ws://.
    params: dict or None: timeout: ms, for all of connecting, default 3000. protocol: str, the
    sub-protocols to offer; without, none. headers: str, lines that end in CRLF (the last may do
    without), or a dict of str. Beyond Defold: context, what the callback gets as its `self`,
    default None; cadata or pin, whom to trust in wss://, see modwebsocket.secure.Tls: without,
    any server; ping_interval_ms: default 0, no pings; any other option of modwebsocket.Link.
    callback: function (self, connection, data), see Table; it may take fewer arguments.
    Returns a Connection. Raises TypeError, ValueError; ValueError for headers with an empty line;
    MemoryError; for wss:// also OSError and NotImplementedError, see Link.
    Differs: a malformed URL is a ValueError; the server must choose a sub-protocol that was
    offered, or none.
    Source: Defold, websocket.connect().
    """
    if not callable(callback):
        raise TypeError("function expected")
    options = dict(params or {})
    context = options.pop("context", None)
    protocol = options.pop("protocol", None)
    headers = options.pop("headers", None) or {}
    if isinstance(headers, str):
        if "\r\n\r\n" in headers:
            raise ValueError(
                "The header field must not contain double '\\r\\n\\r\\n': '%s'" % headers
            )
        pairs = []
        for line in headers.split("\r\n"):
            if line:
                at = line.find(":")
                if at < 0:
                    raise ValueError("header %r" % line)
                pairs.append((line[:at], line[at + 1 :].strip()))
        headers = pairs
    else:
        headers = headers.items()
    at = url.find("://")
    if at > 0:
        url = ("wss" if url[:at].lower() in ("wss", "https") else "ws") + url[at:]
    options["connect_timeout_ms"] = int(options.pop("timeout", 3000))
    if "ping_interval_ms" not in options:
        options["ping_interval_ms"] = 0
    if not options.get("cadata") and not options.get("pin"):
        options["verify"] = False
    connection = Connection(url, context, callback)
    connection._link = Link(
        url,
        connection._event,
        headers=headers,
        defaults=() if protocol is None else (("Sec-WebSocket-Protocol", protocol),),
        **options
    )
    return connection


def _link(connection):
    if not isinstance(connection, Connection):
        raise TypeError("The first argument must be a valid connection!")
    return connection._link


def disconnect(connection):
    """Close the connection, or give up the attempt; EVENT_DISCONNECTED follows.

    connection: what connect() returned; one that has ended is ignored.
    Raises TypeError for anything else.
    Differs: the server is told (close code 1000), and has 5 s to answer.
    Source: Defold, websocket.disconnect().
    """
    link = _link(connection)
    if link:
        link.close()


def send(connection, message, options=None):
    """Send a message.

    connection: what connect() returned. message: str or bytes-like. options: dict or None:
    type, DATA_TYPE_BINARY (default) or DATA_TYPE_TEXT.
    Raises OSError(ENOTCONN) unless connected, OSError(ENOBUFS) if more than 64 KiB wait to be
    sent (nothing is taken then), ValueError for another type or a text that is not UTF-8,
    TypeError.
    Source: Defold, websocket.send().
    """
    link = _link(connection)
    if link is None:
        raise OSError(ENOTCONN, "Invalid connection")
    opcode = (options or {}).get("type", DATA_TYPE_BINARY)
    if opcode not in (DATA_TYPE_TEXT, DATA_TYPE_BINARY):
        raise ValueError("type %r" % opcode)
    if link.stage != "open" or link.cause:
        raise OSError(ENOTCONN, "Connection isn't connected")
    link.send(message, opcode)
