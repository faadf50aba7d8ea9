"""`modwebsocket.redirect`: what a Location means, and which are followed."""

from helpers import KEY, raises

from modwebsocket import URLError
from modwebsocket.handshake import Response
from modwebsocket.redirect import Redirects, resolve
from modwebsocket.url import parse

BASE = parse("ws://a/b/c/d;p?q")

# RFC 3986 §5.4.1 and §5.4.2, with the base http://a/b/c/d;p?q.
REFERENCES = (
    ("g", "/b/c/g"), ("./g", "/b/c/g"), ("g/", "/b/c/g/"), ("/g", "/g"), ("?y", "/b/c/d;p?y"),
    ("g?y", "/b/c/g?y"), ("#s", "/b/c/d;p?q"), ("g#s", "/b/c/g"), ("g?y#s", "/b/c/g?y"),
    (";x", "/b/c/;x"), ("g;x", "/b/c/g;x"), ("g;x?y#s", "/b/c/g;x?y"), ("", "/b/c/d;p?q"),
    (".", "/b/c/"), ("./", "/b/c/"), ("..", "/b/"), ("../", "/b/"), ("../g", "/b/g"),
    ("../..", "/"), ("../../", "/"), ("../../g", "/g"),
    ("../../../g", "/g"), ("../../../../g", "/g"), ("/./g", "/g"), ("/../g", "/g"),
    ("g.", "/b/c/g."), (".g", "/b/c/.g"), ("g..", "/b/c/g.."), ("..g", "/b/c/..g"),
    ("./../g", "/b/g"), ("./g/.", "/b/c/g/"), ("g/./h", "/b/c/g/h"), ("g/../h", "/b/c/h"),
    ("g;x=1/./y", "/b/c/g;x=1/y"), ("g;x=1/../y", "/b/c/y"), ("g?y/./x", "/b/c/g?y/./x"),
    ("g?y/../x", "/b/c/g?y/../x"), ("g#s/./x", "/b/c/g"), ("g#s/../x", "/b/c/g"),
    ("./a:b", "/b/c/a:b"), ("/a:b", "/a:b"), ("?a:b", "/b/c/d;p?a:b"), ("#a:b", "/b/c/d;p?q"),
)

# Absolute ones, and what they are here.
ABSOLUTE = (
    ("//g", (False, "g", 80, "/", "")),
    ("//g:81/x", (False, "g", 81, "/x", "")),
    ("ws://g/../x/./y", (False, "g", 80, "/x/y", "")),
    ("http://g", (False, "g", 80, "/", "")),
    ("HTTPS://u:p@[::1]:81?q#f", (True, "::1", 81, "/?q", "u:p")),
    ("wss://g:80/", (True, "g", 80, "/", "")),
    ("https://g/", (True, "g", 443, "/", "")),
)

BAD = ("ftp://g/", "httpx://g/", "a:b", "http:g", "http://", "//", "http://g:0/", "/a b", "/\r",
       "g\u00e9", "mailto:x@y", ":", "://", "//g h/", "?a b", "//g/\x7f")


def test_relative_references():
    for reference, path in REFERENCES:
        assert resolve(BASE, reference) == (False, "a", 80, path, ""), reference
    base = parse("wss://u:p@[::1]:81/?q")
    assert resolve(base, "x?y") == (True, "::1", 81, "/x?y", "u:p")
    assert resolve(base, "") == base
    assert resolve(base, "//h/x") == (True, "h", 443, "/x", "")


def test_absolute_references():
    for reference, address in ABSOLUTE:
        assert resolve(BASE, reference) == address, reference


def test_bad_references():
    for reference in BAD:
        raises(URLError, resolve, BASE, reference)


def answer(status, *headers):
    response = Response(KEY, (), 100)
    response.redirects = Redirects(1, BASE, ((), (), (), False, 100), {})
    response.feed(b"HTTP/1.1 %d X" % status)
    for header in headers:
        response.feed(header)
    assert response.feed(b"")
    return response


def test_which_are_followed():
    for status in range(200, 400):
        follows = status in (301, 302, 303, 307, 308)
        response = answer(status, b"Location: /", b"Content-Length: 9")
        assert response.redirected is follows
        assert response.body_left == (0 if follows or status in (204, 304) else 9)
    assert not answer(302, b"Content-Length: 9").redirected
