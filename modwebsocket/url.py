"""WebSocket addresses: `ws://` and `wss://` (RFC 6455 §3, RFC 3986)."""

from micropython import const

from .errors import URLError

_MAX_AUTHORITY_LEN = const(255)  # "host:port", bytes; NodeMCU's limit and a DNS name's


def partition(text, mark):
    """Return text before the first mark, mark, text behind it; (text, "", "") without one.

    That is str.partition(), which the ESP8266's MicroPython lacks; bytes will do too.
    """
    at = text.find(mark)
    if at < 0:
        return text, text[:0], text[:0]
    return text[:at], mark, text[at + len(mark) :]


def is_plain(text):
    """True for printable ASCII without space: what may stand in a request line or as a host."""
    # Bytes: MicroPython keeps every character that a str is taken apart into, for good.
    for c in text.encode():
        if not 33 <= c <= 126:
            return False
    return bool(text)


def parse(url):
    """Take a WebSocket URL apart.

    url: str, `ws[s]://[userinfo@]host[:port][/path][?query][#fragment]`; an IPv6 literal
    stands in brackets. The fragment is dropped.
    Returns (secure, host, port, path, userinfo): path begins with "/" and holds the query,
    userinfo is "" if there is none, host has no brackets.
    Raises TypeError if url is not a str, URLError if it is malformed.
    Source: RFC 6455 §3.
    """
    if not isinstance(url, str):
        raise TypeError("url")
    # No copy more than needed: where memory is short, a long one shall fail for its length.
    start = url.find("://") + 3
    scheme = url[: start - 3].lower() if 4 < start < 7 else ""
    if scheme not in ("ws", "wss"):
        raise URLError("scheme", url)
    end = url.find("#", start)
    if end < 0:
        end = len(url)
    at = end
    for mark in ("/", "?"):
        found = url.find(mark, start, end)
        if 0 <= found < at:
            at = found
    authority = url[start:at]
    path = url[at:end]
    if not path.startswith("/"):
        path = "/" + path
    at = authority.rfind("@")
    userinfo = ""
    if at >= 0:
        userinfo = authority[:at]
        authority = authority[at + 1 :]
    if userinfo and not is_plain(userinfo):
        raise URLError("userinfo", userinfo)
    if len(authority) > _MAX_AUTHORITY_LEN:
        raise URLError("length", authority)

    if authority.startswith("["):
        host, sep, port = partition(authority[1:], "]")
        valid = sep and ":" in host and (not port or port.startswith(":"))
        port = port[1:] if port else None
    else:
        host, sep, port = partition(authority, ":")
        valid = True
        if not sep:
            port = None
    if port is None:
        port = 443 if scheme == "wss" else 80
    else:
        if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
            raise URLError("port", port)
        port = int(port)
    if not valid or not is_plain(host):
        raise URLError("host", host)
    for c in host.encode():
        if c in b'[]\\<>"^`{|}':
            raise URLError("host", host)
    if not is_plain(path):
        raise URLError("path", path)
    return scheme == "wss", host, port, path, userinfo
