"""A URL: parse() takes it apart or raises URLError; the request for what it gives is taken by a
server for just that.

An input: UTF-8, the URL, and behind a line's end what a user may give as a header's value.
"""

import binascii

from modwebsocket.errors import URLError
from modwebsocket.handshake import basic_auth, request
from modwebsocket.upgrade import Request
from modwebsocket.url import parse, partition

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def printable(text):
    return all(33 <= c <= 126 for c in text.encode())


def unquote(text):
    data = b""
    parts = text.split("%")
    for i, part in enumerate(parts):
        data += binascii.unhexlify(part[:2]) + part[2:].encode() if i else part.encode()
    return data


def run(data):
    try:
        text = data.decode()
    except ValueError:
        return
    url, _, value = partition(text, "\n")
    try:
        secure, host, port, path, userinfo = parse(url)
    except URLError as e:
        assert e.args[0] in ("scheme", "userinfo", "length", "port", "host", "path")
        return
    assert url.lower().startswith("wss://" if secure else "ws://")
    assert 1 <= port <= 65535
    assert host and path.startswith("/")
    assert printable(host) and printable(path) and printable(userinfo)
    assert not any(c in host for c in "/?#@[]")
    name = "[" + host + "]" if ":" in host else host
    if len(name) > 255 - len(":65535"):
        return
    again = "%s://%s@%s:%d%s" % ("wss" if secure else "ws", userinfo, name, port, path)
    assert parse(again) == (secure, host, port, path, userinfo), again

    headers = ()
    if userinfo:
        try:
            headers = (("Authorization", basic_auth(userinfo)),)
        except ValueError:
            return
        assert binascii.a2b_base64(headers[0][1][6:]) == unquote(userinfo)
    try:
        head = request(name, path, KEY, headers, (("X-User", value),))
    except ValueError:
        assert any(c < 32 or c == 127 for c in value.encode()), value
        return
    lines = head.split(b"\r\n")
    assert len(lines) == 9 + len(headers) and lines[-2:] == [b"", b""], head
    assert not any(c in line for line in lines for c in b"\r\n"), head
    server = Request(max_len=1 << 20)
    for line in lines[:-2]:
        assert not server.feed(line)
    assert server.feed(b"")
    if "," not in host:  # would be two
        assert server.check() is None
    assert server.path == path and server.headers["host"] == name
    assert server.headers["x-user"] == value.strip(), value
