"""The server's side of `lua_http`.  Loaded by it when it is used."""

from errno import EINVAL

from micropython import const

from _wscore import accept as accept_key
from modwebsocket import HandshakeError, pump
from modwebsocket.accepting import Incoming
from modwebsocket.upgrade import head

from .lua_http import Headers, WebSocket, _failure, _ms

_MAX_FRAME_LEN = const(1 << 20)
_UPGRADE = ("upgrade header not websocket", "unsupported sec-websocket-version")  # are 426


class Stream(Incoming):
    """lua-http's `http.h1_stream`, as far as a WebSocket needs one: an accepted TCP connection.

    type: "server". version: of HTTP, float, once get_headers() has read it.
    """

    type = "server"
    version = 1.1

    def get_headers(self, timeout=None):
        """The request's (Headers, None, None), with :method and :path; or (None, message, errno).

        timeout: seconds, None: forever. EINVAL: it is malformed; see refuse().
        """
        try:
            request = self.request(_ms(timeout))
        except HandshakeError as e:
            return None, e.args[0], EINVAL
        except OSError as e:
            return _failure("get_headers", e.errno)
        self.version = 1 + request.version / 10
        headers = Headers(request.headers.items())
        headers.upsert(":method", request.method)
        headers.upsert(":path", request.path)
        return headers, None, None

    def refuse(self, message="", status=0):
        """Answer that there is no WebSocket, and hang up: beyond lua-http.

        message: of new_from_stream(). status: of HTTP, 0: the one that fits.
        """
        if not status and message in _UPGRADE:
            status = 426
        Incoming.refuse(self, status, message)


def from_stream(stream, headers):
    """See lua_http.new_from_stream()."""
    if getattr(stream, "type", "server") != "server":
        raise ValueError("not a server's stream")
    if not isinstance(stream, Stream):
        stream = Stream(stream)
    if not hasattr(headers, "get_comma_separated"):
        headers = Headers(headers.items())
    ws = WebSocket("server")
    text = _take(ws, stream, headers)
    if text:
        return None, text, EINVAL
    ws.stream = stream
    return ws, None, None


def _take(ws, stream, headers):
    # What is wrong with a request, if anything is.
    if not 1 <= stream.version < 2:
        return "websockets only supported with HTTP 1.x"
    if stream.version == 1:
        return "upgrade headers MUST be ignored in HTTP 1.0"
    if (headers.get("upgrade") or "").lower() != "websocket":
        return "upgrade header not websocket"
    is_token = pump.load_handshake()[0].is_token
    tokens = _tokens(headers, "connection")
    for token in tokens:
        if not is_token(token):
            return "invalid connection header"
    if "upgrade" not in [token.lower() for token in tokens]:
        return "connection header doesn't contain upgrade"
    ws.key = headers.get("sec-websocket-key")
    if not ws.key:
        return "missing sec-websocket-key"
    if headers.get("sec-websocket-version") != "13":
        return "unsupported sec-websocket-version"
    if headers.has("sec-websocket-protocol"):
        ws.protocols = _tokens(headers, "sec-websocket-protocol")
        for i, protocol in enumerate(ws.protocols):
            if not is_token(protocol):
                return "invalid sec-websocket-protocol header"
            if protocol in ws.protocols[:i]:
                return "duplicate protocol"
        if not ws.protocols:
            return "invalid sec-websocket-protocol header"
    return None


def _tokens(headers, name):
    value = headers.get_comma_separated(name) or ""
    return [token.strip() for token in value.split(",") if token.strip()]


def accept(ws, options, timeout):
    """See lua_http.WebSocket.accept()."""
    headers = options.get("headers")
    headers = headers.clone() if headers is not None else Headers()
    headers.upsert("upgrade", "websocket")
    headers.upsert("connection", "upgrade")
    headers.upsert("sec-websocket-accept", accept_key(ws.key.strip().encode()).decode())
    chosen = None
    for protocol in options.get("protocols") or ():
        if protocol in (ws.protocols or ()):
            headers.upsert("sec-websocket-protocol", protocol)
            chosen = protocol
            break
    pairs = [pair for pair in headers if pair[0][:1] != ":"]
    check_header = pump.load_handshake()[0].check_header
    for name, value in pairs:
        check_header(name, value)
    try:
        _open(ws, ws.stream, head(101, pairs), _ms(timeout))
    except OSError as e:
        ws.readyState = 3
        return _failure("accept", e.errno)
    ws.stream = None
    ws.protocol = chosen
    return True, None, None


def _open(ws, stream, data, timeout_ms):
    close_timeout_ms = _ms(ws.close_timeout)
    ws._ws = stream.open(
        data, timeout_ms, ping_interval_ms=0, close_timeout_ms=close_timeout_ms
    )
    ws.socket = ws._ws.link._sock
    ws.readyState = 1
    pump.forget_handshake()


def adopt(ws):
    """Have a bare one serve the socket that it was given."""
    role = 0 if ws.type == "client" else 1  # see events.py
    _open(ws, Incoming(ws.socket, role, max_message_len=_MAX_FRAME_LEN), b"", -1)
