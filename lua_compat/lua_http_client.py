"""How a client of `lua_http` connects.  Loaded for that, and forgotten once it is done."""

from micropython import const

import modwebsocket
from modwebsocket import blocking, pump

from .lua_http import Headers, WebSocket, _failure, _find, _ms

_EINVAL = const(22)
_ELOOP = const(40)
_FOREVER_MS = const(1 << 28)  # three days, and within what ticks_diff() can tell


class Request:
    """What a client will ask for, until connect(): change it as you like.

    url: str. headers: Headers, sent besides those of the upgrade. follow_redirects, max_redirects:
    default True, 5. ctx: a tls.SSLContext for wss://. options: dict, of Link.
    """

    def __init__(self, url, options):
        """url, options: see above."""
        self.url = url
        self.headers = Headers()
        self.follow_redirects = True
        self.max_redirects = 5
        self.ctx = None
        self.options = options


def from_uri(uri, protocols, options):
    """See lua_http.new_from_uri()."""
    ws = WebSocket("client")
    ws.request = Request(_url(uri), options)
    if protocols is not None:
        ws.protocols = []
        is_token = pump.load_handshake()[0].is_token
        for protocol in protocols:
            if protocol in ws.protocols:
                raise ValueError("duplicate protocol")
            if not is_token(protocol):
                raise ValueError("invalid protocol")
            ws.protocols.append(protocol)
    return ws


def _url(uri):
    # ws:// or wss://; and what a table (dict) means.
    if isinstance(uri, dict):
        scheme, host = uri.get("scheme"), uri.get("host")
        if not scheme or not host:
            raise ValueError("URI must include a host" if scheme else "URI missing scheme")
        if ":" in host:
            host = "[%s]" % host
        if uri.get("userinfo"):
            host = "%s@%s" % (uri["userinfo"], host)
        if uri.get("port"):
            host = "%s:%s" % (host, uri["port"])
        query = uri.get("query")
        uri = "%s://%s%s" % (scheme, host, uri.get("path") or "/")
        if query:
            uri += "?" + query
    if uri[:4].lower() == "http":
        at = uri.find(":")
        uri = "ws" + uri[4:at].lower() + uri[at:]
    try:
        pump.load_handshake()[1].parse(uri)
    except modwebsocket.URLError as e:
        text = "invalid URI"
        if e.args[0] == "scheme":
            text = "scheme not valid" if "://" in uri else "URI missing scheme"
        elif e.args == ("host", ""):
            text = "URI must include a host"
        raise ValueError(text)
    return uri


def connect(ws, timeout):
    """See lua_http.WebSocket.connect()."""
    request = ws.request
    options = {"ping_interval_ms": 0, "close_timeout_ms": _ms(ws.close_timeout)}
    options.update(request.options)
    if request.ctx:
        options["context"] = request.ctx
    defaults = [("User-Agent", "modwebsocket/" + modwebsocket.__version__)]
    if ws.protocols:
        defaults.append(("Sec-WebSocket-Protocol", ",".join(ws.protocols)))
    options["defaults"] = defaults
    options["headers"] = [pair for pair in request.headers if pair[0][:1] != ":"]
    options["max_redirects"] = request.max_redirects if request.follow_redirects else 0
    timeout_ms = _ms(timeout)
    try:
        opened = blocking.WebSocket(
            request.url,
            timeout_ms=_FOREVER_MS if timeout_ms < 0 else timeout_ms,
            protocols=ws.protocols or (),
            keep_response=True,
            **options
        )
    except modwebsocket.HandshakeError as e:
        return _refused(ws, e)
    except OSError as e:
        if len(e.args) > 1 and not 0 < e.errno < 256:
            return None, "connect: %s" % e.args[1], e.errno
        return _failure("connect", e.errno)
    link = opened.link
    try:
        _take_headers(ws, link.response)
        ws.protocol = ws.headers.get("sec-websocket-protocol")
    except BaseException:
        link.abort("closed")  # nobody else knows of it
        raise
    link.response = None
    ws.request = None
    ws._ws = opened
    ws.socket = link._sock
    ws.readyState = 1
    return True, None, None


def _take_headers(ws, response):
    ws.headers = Headers(response.headers.items())
    ws.headers.upsert(":status", "%d" % response.status)


def _refused(ws, error):
    # What the original says of it.
    _take_headers(ws, error)
    text = error.args[0]
    if text == "redirect: too many":
        return None, text, _ELOOP
    if text[:5] == "HTTP " and text[5:].isdigit():
        text = "status code not 101"
    elif text == "Connection" and not ws.headers.has("connection"):
        text = "invalid connection header"
    elif text == "Sec-WebSocket-Extensions":
        is_token = pump.load_handshake()[0].is_token
        for one in ws.headers.get(text).split(","):
            if one.strip() and not is_token(one.split(";")[0].strip()):
                text = "invalid sec-websocket-extensions header"
        pump.forget_handshake()
    words = (
        "HTTP version", "websockets only supported with HTTP 1.x",
        "not HTTP", "websockets only supported with HTTP 1.x",
        "Upgrade", "upgrade header not websocket",
        "Connection", "connection header doesn't contain upgrade",
        "Sec-WebSocket-Accept", "sec-websocket-accept header incorrect",
        "Sec-WebSocket-Extensions", "extensions not supported",
        "Sec-WebSocket-Protocol", "unexpected protocol",
    )  # fmt: skip
    return None, _find(words, text, 2, text)[0], _EINVAL
