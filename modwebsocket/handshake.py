"""The opening handshake of a client: the upgrade request, and the check of its response.

No socket: bytes and lines in, bytes and a verdict out (RFC 6455 §4.1, §4.2.2).
"""

import binascii

from micropython import const

from _wscore import accept

from .errors import HandshakeError
from .url import is_plain, partition

_TOKEN = b"!#$%&'*+-.^_`|~0123456789"
_MAX_HEADER_LEN = const(8192)  # of all response headers, bytes


def is_token(text):
    """True if text is an HTTP token (RFC 9110 §5.6.2): a header's or sub-protocol's name."""
    for c in text.encode():  # bytes: see is_plain()
        if not (97 <= c | 32 <= 122 or c in _TOKEN):
            return False
    return bool(text)


def check_header(name, value):
    """Refuse what could inject a header.

    name, value: str; name is a token, value has no control character but tab.
    Raises TypeError or ValueError naming the offending thing.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError("header %r: %r" % (name, value))
    if not is_token(name):
        raise ValueError("header name %r" % name)
    for c in value.encode():
        if (c < 32 and c != 9) or c == 127:
            raise ValueError("header value %r" % value)


def basic_auth(userinfo):
    """The Authorization header's value for a URL's userinfo, percent-encoding undone.

    Raises ValueError for a "%" without two hexadecimal digits. Source: RFC 7617.
    """
    parts = userinfo.split("%")
    data = parts[0].encode()
    for part in parts[1:]:
        data += binascii.unhexlify(part[:2]) + part[2:].encode()
        if len(part) < 2:
            raise ValueError("userinfo")
    return "Basic " + binascii.b2a_base64(data)[:-1].decode()


def request(host, path, key, headers=(), defaults=()):
    """The upgrade request.

    host: the Host header's value, str. path: begins with "/", holds the query, str.
    key: Sec-WebSocket-Key, 24 characters of base64, bytes. headers: the caller's (name, value)
    pairs of str. defaults: pairs that the caller's replace.
    A name is sent once, in any case: what this function sets itself comes first, then the
    caller's first, then the default; only Host is the caller's to set.
    Returns bytes. Raises ValueError or TypeError for a malformed header.
    Source: RFC 6455 §4.1.
    """
    if not is_plain(path):
        raise ValueError("path %r" % path)
    headers = tuple(headers)
    for name, value in headers:
        check_header(name, value)
        if name.lower() == "host":
            host = value
            break
    lines = ["GET " + path + " HTTP/1.1"]
    seen = set()
    for pairs in (
        (
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.decode()),
            ("Sec-WebSocket-Version", "13"),
        ),
        headers,
        defaults,
    ):
        for name, value in pairs:
            check_header(name, value)
            if name.lower() not in seen:
                seen.add(name.lower())
                lines.append(name + ": " + value)
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


def ask(address, nonce, headers=(), defaults=(), protocols=(), name_port=False, max_body_len=0):
    """The request to an address, bytes, and the Response that is to be.

    address: what url.parse() returns. nonce: 16 bytes of os.urandom(). headers, defaults: see
    request(). name_port: True names the port in the Host header even if it is the scheme's own.
    protocols, max_body_len: see Response; without protocols, those that the headers offer.
    Raises ValueError or TypeError for a malformed header or userinfo.
    """
    secure, host, port, path, userinfo = address
    if ":" in host:
        host = "[%s]" % host
    if name_port or port != (443 if secure else 80):
        host += ":%d" % port
    if userinfo:
        headers = tuple(headers) + (("Authorization", basic_auth(userinfo)),)
    key = binascii.b2a_base64(nonce)[:-1]
    headers = tuple(headers)
    head = request(host, path, key, headers, defaults)
    if not protocols:
        for name, value in headers + tuple(defaults):
            if name.lower() == "sec-websocket-protocol":
                protocols = [protocol.strip() for protocol in value.split(",")]
                break
    return head, Response(key, protocols, max_body_len)


def _unchunk(raw):
    # What has come of a body in chunks (RFC 9112 §7.1), and whether that is all of it.
    body = b""
    while True:
        line, found, raw = partition(raw, b"\r\n")
        if not found:
            return body, False
        try:
            chunk_len = int(partition(line, b";")[0], 16)
        except ValueError:
            return body, True
        if chunk_len <= 0:
            return body, True
        body += raw[: min(chunk_len, len(raw))]
        if len(raw) < chunk_len + 2:
            return body, False
        raw = raw[chunk_len + 2 :]


class Response:
    """A response, its head taken in line by line.

    key: the request's Sec-WebSocket-Key, bytes. protocols: the sub-protocols that it offers.
    max_body_len: bytes to take of the body that explains a refusal.
    status: HTTP status, int, 0 until the status line is in. headers: dict, names in lower
    case, values of a repeated header joined by ", ". body: bytes.
    body_left: how much of the body may be to come, 0 if the head is not complete.
    redirects: None, or a redirect.Redirects. redirected: True if that is to follow this one.
    """

    def __init__(self, key, protocols=(), max_body_len=0):
        self._key = key
        self._protocols = protocols
        self.status = 0
        self.headers = {}
        self.body = b""
        self.body_left = 0
        self.redirects = None
        self.redirected = False
        self._max_body_len = max_body_len
        self._chunks = None
        self._len = 0
        self._cut = False

    def feed(self, line, cut=False):
        """Take one line, bytes without its end.

        cut: True if this is only a part of a line, too long to be kept: a header that ends with
        the next line and is not taken.
        Returns True when the head is complete: then check() is next, or feed_body() if there is
        something left. Raises HandshakeError if it is malformed.
        """
        self._len += len(line)
        if self._len > _MAX_HEADER_LEN:
            raise HandshakeError("header too long")
        if self.status and (cut or self._cut):
            self._cut = cut
            return False
        if not self.status:
            # "HTTP/1.1 101 Switching Protocols"; the phrase may be missing.
            status = line[9:12]
            if line[:7] != b"HTTP/1." or line[8:9] != b" " or not status.isdigit():
                raise HandshakeError("not HTTP")
            if len(status) != 3 or line[12:13] not in (b"", b" "):
                raise HandshakeError("not HTTP")
            self.status = int(status)
            if self.status < 100 or cut:
                raise HandshakeError("not HTTP")
            if self.status == 101 and line[7:8] != b"1":
                raise HandshakeError("HTTP version")
            return False
        if not line:
            self._expect_body()
            return True
        name, sep, value = partition(line, b":")
        try:
            name = name.decode().lower()
            value = value.strip().decode()
        except ValueError:
            raise HandshakeError("header")
        if not sep or not is_token(name) or "\r" in value or "\0" in value:
            raise HandshakeError("header")
        if name in self.headers:
            value = self.headers[name] + ", " + value
        self.headers[name] = value
        return False

    def _expect_body(self):
        # RFC 9112 §6.3.
        status = self.status
        if status < 200 or status == 204 or status == 304:
            return
        if self.redirects and self.redirects.take(self):
            self.redirected = True
            return
        self.body_left = max(self._max_body_len, 0)
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunks = b""
        else:
            body_len = self.headers.get("content-length", "")
            if body_len.isdigit() and len(body_len) < 9:
                self.body_left = min(self.body_left, int(body_len))

    def feed_body(self, data):
        """Take bytes of the body; True if there is no need of more, and check() is next."""
        data = data[: self.body_left]
        self.body_left -= len(data)
        if self._chunks is None:
            self.body += data
        else:
            self._chunks += data
            self.body, whole = _unchunk(self._chunks)
            if whole:
                self.body_left = 0
        return not self.body_left

    def check(self):
        """Check that this response opens the WebSocket that was asked for.

        Returns the sub-protocol chosen, None if none. Raises HandshakeError.
        Source: RFC 6455 §4.1, "the client MUST validate the server's response".
        """
        get = self.headers.get
        if self.status != 101:
            raise HandshakeError("HTTP %d" % self.status)
        if get("upgrade", "").lower() != "websocket":
            raise HandshakeError("Upgrade")
        if "upgrade" not in [t.strip() for t in get("connection", "").lower().split(",")]:
            raise HandshakeError("Connection")
        if get("sec-websocket-accept", "").encode() != accept(self._key):
            raise HandshakeError("Sec-WebSocket-Accept")
        if get("sec-websocket-extensions"):
            raise HandshakeError("Sec-WebSocket-Extensions")
        protocol = get("sec-websocket-protocol")
        if protocol is not None and protocol not in self._protocols:
            raise HandshakeError("Sec-WebSocket-Protocol")
        return protocol
