"""The opening handshake of a server: the check of a request, and what answers it.

No socket: lines in, a verdict and bytes out (RFC 6455 §4.2). Nothing of the client's side is
needed here: on a chip that only serves, that stays unloaded.
"""

from micropython import const

from _wscore import accept

from .errors import HandshakeError

_MAX_HEAD_LEN = const(4096)  # of a request, bytes
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

_PHRASES = {
    101: "Switching Protocols",
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    414: "URI Too Long",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

# What a client needs to know to do better (RFC 6455 §4.2.2, RFC 9110 §15.5.6, §15.5.22).
_ADVICE = {
    405: (("Allow", "GET, HEAD"),),
    426: (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
}


class Request:
    """A request head, taken in line by line.

    method, path: str, "" until the request line is in; path holds the query. version: the minor
    one of HTTP/1, int. headers: dict, names in lower case, values of a repeated header joined by
    ", ". status: the HTTP status that refuses it once feed() or check() raised HandshakeError,
    else 0.
    """

    def __init__(self, max_len=_MAX_HEAD_LEN):
        """max_len: of the whole head, bytes."""
        self.method = self.path = ""
        self.version = 1
        self.headers = {}
        self.status = 0
        self._left_len = max_len
        self._cut = False

    def _refuse(self, status, text):
        self.status = status
        raise HandshakeError(text)

    def feed(self, line, cut=False):
        """Take one line, bytes without its end.

        cut: True if this is only a part of a line, too long to be kept: a header that ends with
        the next line and is not taken.
        Returns True when the head is complete. Raises HandshakeError if it is malformed.
        """
        self._left_len -= len(line) + 2
        if self._left_len < 0:
            self._refuse(431 if self.method else 414, "header too long")
        if not self.method:
            if cut:
                self._refuse(414, "path too long")
            if line:  # an empty one before the request line is none (RFC 9112 §2.2)
                self._take_request_line(line)
            return False
        if cut or self._cut:
            self._cut = cut
            return False
        if not line:
            return True
        i = line.find(b":")
        try:
            name = line[: max(i, 0)].decode().lower()
            value = line[i + 1 :].strip().decode()
        except ValueError:
            self._refuse(400, "header")
        if not name or "\r" in value or "\0" in value:
            self._refuse(400, "header")
        for c in name.encode():
            if not 33 <= c <= 126:
                self._refuse(400, "header")
        if name in self.headers:
            value = self.headers[name] + ", " + value
        self.headers[name] = value
        return False

    def _take_request_line(self, line):
        # "GET /path?query HTTP/1.1"
        parts = line.split(b" ")
        if len(parts) != 3 or not parts[0].isalpha() or parts[1][:1] != b"/":
            self._refuse(400, "not HTTP")
        for c in parts[1]:
            if not 33 <= c <= 126:
                self._refuse(400, "path")
        version = parts[2]
        if len(version) != 8 or version[:5] != b"HTTP/" or not version[7:].isdigit():
            self._refuse(400, "not HTTP")
        if version[5:7] != b"1.":
            self._refuse(505, "HTTP version")
        self.version = int(version[7:])
        self.path = parts[1].decode()
        self.method = parts[0].decode()

    def tokens(self, name):
        """The list of what a header's value has between commas, in its own case."""
        value = self.headers.get(name, "")
        return [token.strip() for token in value.split(",") if token.strip()]

    def is_upgrade(self):
        """True if this asks for a WebSocket, however well."""
        return "websocket" in [token.lower() for token in self.tokens("upgrade")]

    def check_http(self):
        """Check that this is a request for a page. Raises HandshakeError."""
        if self.method not in ("GET", "HEAD"):
            self._refuse(405, "method")
        # A body would be taken for the next request.
        if self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers:
            self._refuse(400, "body")

    def check(self, protocols=(), origins=None):
        """Check that a WebSocket can be opened as this asks.

        protocols: sub-protocols of the server, the best first, or a function that is given the
        list of those offered and returns one of them or None. origins: those allowed (None
        among them: requests without one), or a function that is given the Origin (str or None)
        and returns whether it is allowed; None: all are.
        Returns the sub-protocol chosen, None if none. Raises HandshakeError.
        Source: RFC 6455 §4.2.1, §4.2.2, §10.2.
        """
        headers = self.headers
        if self.method != "GET":
            self._refuse(405, "method")
        self.check_http()
        host = headers.get("host", "")
        if self.version < 1 or not host or "," in host:
            self._refuse(400, "Host" if self.version else "HTTP version")
        if not self.is_upgrade():
            self._refuse(426, "Upgrade")
        if "upgrade" not in [token.lower() for token in self.tokens("connection")]:
            self._refuse(400, "Connection")
        version = headers.get("sec-websocket-version")
        if version != "13":
            self._refuse(400 if version is None else 426, "Sec-WebSocket-Version")
        key = headers.get("sec-websocket-key", "").encode()
        # 16 bytes of base64; the last of 22 characters has two bits to say.
        if len(key) != 24 or key[22:] != b"==" or key[21] not in b"AQgw":
            self._refuse(400, "Sec-WebSocket-Key")
        for c in key[:22]:
            if c not in _BASE64:
                self._refuse(400, "Sec-WebSocket-Key")
        if origins is not None:
            origin = headers.get("origin")
            if not (origins(origin) if callable(origins) else origin in origins):
                self._refuse(403, "Origin")
        offered = self.tokens("sec-websocket-protocol")
        if callable(protocols):
            return protocols(offered)
        for protocol in protocols:
            if protocol in offered:
                return protocol
        return None

    def answer(self, protocol=None):
        """The head that opens the WebSocket, bytes; protocol: what check() returned."""
        key = self.headers["sec-websocket-key"].encode()
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept(key).decode()),
        ]
        if protocol is not None:
            headers.append(("Sec-WebSocket-Protocol", protocol))
        return head(101, headers)


def head(status, headers):
    """A response's head, bytes.  headers: pairs of str."""
    lines = ["HTTP/1.1 %d %s" % (status, _PHRASES.get(status, ""))]
    for pair in headers:
        lines.append("%s: %s" % pair)
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


def response(status, body_len, content_type="text/plain"):
    """The head of a response that is not an upgrade, and after which TCP ends."""
    return head(
        status,
        (
            ("Content-Type", content_type),
            ("Content-Length", str(body_len)),
            ("Connection", "close"),
        )
        + _ADVICE.get(status, ()),
    )


def refusal(status, text=""):
    """A whole response that refuses a request, bytes.  text: why."""
    body = (text or _PHRASES.get(status, "")).encode() + b"\n"
    return response(status, len(body)) + body
