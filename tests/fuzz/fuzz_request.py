"""A client's request, as a server reads it.

The verdict does not depend on how the bytes come.  If it is good, a client takes the answer.

An input: flags (1: the smallest receive buffer, 2: the server has sub-protocols, 4: origins, 8: a
page), how many bytes come at once, and the request.
"""

from binascii import a2b_base64, b2a_base64

import fuzz

from _wscore import Codec
from modwebsocket.errors import HandshakeError
from modwebsocket.handshake import Response
from modwebsocket.upgrade import Request, refusal, response

SEED = bytes(20)
SERVER = 1


def judged(wire, chunk, rx_len, protocols, origins, page):
    """(request, unread bytes or None while the head is incomplete, error, sub-protocol)."""
    codec = Codec(SERVER, rx_len, 142, 0, SEED)
    stream = fuzz.Stream(wire, chunk, True)
    request = Request(2000)
    unread = protocol = None
    try:
        while unread is None and codec.fill(stream):
            while unread is None:
                try:
                    line = codec.readline()
                    cut = False
                except ValueError:
                    line = codec.read()
                    cut = True
                if line is None:
                    break
                if request.feed(line, cut):
                    unread = codec.read()
                    while codec.fill(stream):
                        unread += codec.read()
        if unread is None:
            pass
        elif page and not request.is_upgrade():
            request.check_http()
        else:
            protocol = request.check(protocols, origins)
    except HandshakeError as e:
        return request, unread, e.args[0], None
    return request, unread, None, protocol


def check_head(head):
    """A response's head is well-formed; returns its lines."""
    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    for line in lines:
        for c in line:
            assert c == 9 or 32 <= c != 127, head
    assert all(b": " in line for line in lines[1:]), head
    return lines


def run(data):
    if len(data) < 2:
        return
    rx_len = 139 if data[0] & 1 else 512
    protocols = ("v2.chat", "chat") if data[0] & 2 else ()
    origins = ("http://example.com", None) if data[0] & 4 else None
    wire = data[2:]
    page = data[0] & 8
    request, unread, error, protocol = judged(wire, b"", rx_len, protocols, origins, page)
    again = judged(wire, data[1:2] if data[1] else b"\1", rx_len, protocols, origins, page)
    assert again[1:] == (unread, error, protocol), (unread, error, protocol, again[1:])
    for name in ("method", "path", "version", "headers", "status"):
        assert getattr(again[0], name) == getattr(request, name), name
    assert unread is None or wire.endswith(unread)

    if request.method:
        assert request.method.isalpha() and request.path.startswith("/")
    for name, value in request.headers.items():
        assert name == name.lower() and all(33 <= c <= 126 for c in name.encode()), name
        assert "\r" not in value and "\n" not in value
    if error:
        head, _, body = refusal(request.status, error).partition(b"\r\n\r\n")
        lines = check_head(head + b"\r\n\r\n")
        assert lines[0].startswith(b"HTTP/1.1 %d " % request.status)
        assert 400 <= request.status < 600 and len(lines[0]) > 13, lines
        assert b"Content-Length: %d" % len(body) in lines
        return
    assert request.status == 0
    if unread is None:
        return
    if page and not request.is_upgrade():
        check_head(response(200, 5))
        return
    headers = request.headers
    assert request.method == "GET" and request.version >= 1 and headers["host"]
    assert "websocket" in headers["upgrade"].lower() and "upgrade" in headers["connection"].lower()
    assert headers["sec-websocket-version"] == "13"
    assert not origins or headers.get("origin") in origins
    key = headers["sec-websocket-key"].encode()
    nonce = a2b_base64(key)
    assert len(nonce) == 16 and b2a_base64(nonce)[:-1] == key
    client = Response(key, protocols)
    for line in check_head(request.answer(protocol)):
        assert not client.feed(line)
    assert client.feed(b"") and client.check() == protocol
