"""`modwebsocket.url`: every form of an address, and what is none."""

from helpers import raises

from modwebsocket import URLError
from modwebsocket.url import parse

# url, (secure, host, port, path, userinfo)
GOOD = (
    ("ws://h", (False, "h", 80, "/", "")),
    ("ws://h/", (False, "h", 80, "/", "")),
    ("wss://h/", (True, "h", 443, "/", "")),
    ("WS://h", (False, "h", 80, "/", "")),
    ("wSs://h", (True, "h", 443, "/", "")),
    ("ws://h:1/", (False, "h", 1, "/", "")),
    ("ws://h:65535", (False, "h", 65535, "/", "")),
    ("ws://h:080/", (False, "h", 80, "/", "")),
    ("wss://h:80/", (True, "h", 80, "/", "")),
    ("ws://127.0.0.1:9001/", (False, "127.0.0.1", 9001, "/", "")),
    ("ws://a-b.example.com./p", (False, "a-b.example.com.", 80, "/p", "")),
    ("ws://h/a/b/c", (False, "h", 80, "/a/b/c", "")),
    ("ws://h//", (False, "h", 80, "//", "")),
    ("ws://h/a%20b", (False, "h", 80, "/a%20b", "")),
    ("ws://h/p?x=1&y=2", (False, "h", 80, "/p?x=1&y=2", "")),
    ("ws://h/p?", (False, "h", 80, "/p?", "")),
    ("ws://h/?a/b?c", (False, "h", 80, "/?a/b?c", "")),
    ("ws://h/:80@x", (False, "h", 80, "/:80@x", "")),
    ("ws://h?x=1", (False, "h", 80, "/?x=1", "")),
    ("ws://h:81?x=1", (False, "h", 81, "/?x=1", "")),
    ("ws://h?x=/a:b@c", (False, "h", 80, "/?x=/a:b@c", "")),
    ("ws://h#f", (False, "h", 80, "/", "")),
    ("ws://h:81#f", (False, "h", 81, "/", "")),
    ("ws://h/p#f", (False, "h", 80, "/p", "")),
    ("ws://h/p?q#f?g/h#i", (False, "h", 80, "/p?q", "")),
    ("ws://h#/p?q", (False, "h", 80, "/", "")),
    ("ws://[::1]", (False, "::1", 80, "/", "")),
    ("ws://[::1]:81/p", (False, "::1", 81, "/p", "")),
    ("wss://[2001:db8::1]/", (True, "2001:db8::1", 443, "/", "")),
    ("ws://[::ffff:1.2.3.4]/", (False, "::ffff:1.2.3.4", 80, "/", "")),
    ("ws://u@h/", (False, "h", 80, "/", "u")),
    ("ws://u:p@h:81/", (False, "h", 81, "/", "u:p")),
    ("ws://u:p@[::1]:81/", (False, "::1", 81, "/", "u:p")),
    ("ws://u:p%40q@h/", (False, "h", 80, "/", "u:p%40q")),
    ("ws://:p@h/", (False, "h", 80, "/", ":p")),
    ("ws://h/p@q", (False, "h", 80, "/p@q", "")),
)

# part that is wrong, urls
BAD = (
    ("scheme", (
        "", "h", "/", "://", "://h", "ws", "ws:", "ws:/", "ws:h", "ws:/h", "//h", "http://h/",
        "https://h/", "wsss://h/", " ws://h/", "ws ://h/", "w\u00a7://h/", "h:80/ws://", "ftp://",
        "\0ws://h", "ws:\\\\h",
    )),
    ("port", (
        "ws://h:/", "ws://h:", "ws://h:0/", "ws://h:00000/", "ws://h:65536/", "ws://h:99999/",
        "ws://h:80abc/", "ws://h:abc/", "ws://h:-1/", "ws://h:+80/", "ws://h: 80/", "ws://h:80 /",
        "ws://h:8_0/", "ws://h:0x50/", "ws://h:1.5/", "ws://h:80:80/", "ws://h:\uff11/",
        "ws://h:4294967376/", "ws://h:000080/", "ws://h:80\n/", "ws://::1/", "ws://:x/",
        "ws://[::1]:/", "ws://[::1]:0/", "ws://[::1]:x/", "ws://[::1]x/",
        "ws://[::1]80/", "ws://u:p@h:/",
        "ws://h:99999999999999/",
    )),
    ("host", (
        "ws://", "ws:///", "ws:///p", "ws://?q", "ws://#f", "ws://:80/", "ws://:80", "ws://@/",
        "ws://u:p@/", "ws://u:p@:80/", "ws://h h/", "ws:// h/", "ws://h /", "ws://h\t/",
        "ws://h\r\n/", "ws://h\0/", "ws://h\x7f/", "ws://h\u00e9/", "ws://\u20ac/", "ws://h\\x/",
        "ws://[]/", "ws://[/", "ws://[::1/", "ws://]/", "ws://[h]/",
        "ws://[::1]x80/", "ws://[::1 ]/", "ws://h[/",
        "ws://a<b/", "ws://a>b/", 'ws://a"b/', "ws://a^b/", "ws://a`b/", "ws://a{b}/", "ws://a|b/",
    )),
    ("path", (
        "ws://h/ ", "ws://h/a b", "ws://h/\t", "ws://h/\n", "ws://h/\r", "ws://h/\r\nX: y",
        "ws://h/\0", "ws://h/\x7f", "ws://h/\x1f", "ws://h/\u00e9", "ws://h/\u20ac", "ws://h/?a b",
        "ws://h?\r\n", "ws://h/" + chr(0xD800),
    )),
)


def test_good_addresses():
    for url, parts in GOOD:
        assert parse(url) == parts, url


def test_bad_addresses_name_the_part():
    for part, urls in BAD:
        for url in urls:
            error = raises(URLError, parse, url)
            assert error.args[0] == part, (url, error.args)
            assert isinstance(error, ValueError) and isinstance(error.args[1], str)


def test_parts_are_checked_in_nodemcus_order():
    for url, part in (
        ("http://" + "h" * 300 + ":0/ ", "scheme"),
        ("ws://" + "h" * 300 + ":0/ ", "length"),
        ("ws://:0/ ", "port"),
        ("ws://:80/ ", "host"),
        ("ws://h:80/ ", "path"),
    ):
        assert raises(URLError, parse, url).args[0] == part, url


def test_host_and_port_are_at_most_255_characters():
    for tail in ("", "/", "/p", "?q", "#f", "/" + "p" * 600):
        assert parse("ws://" + "h" * 255 + tail)[1] == "h" * 255
        assert parse("ws://" + "h" * 252 + ":81" + tail)[1:3] == ("h" * 252, 81)
        assert parse("ws://" + "u" * 300 + "@h" + tail)[1] == "h"
        for authority in ("h" * 256, "h" * 253 + ":81", "h" * 600, "[" + ":" * 255 + "]"):
            assert raises(URLError, parse, "ws://" + authority + tail).args[0] == "length"


def test_an_address_is_a_str():
    for url in (None, 5, b"ws://h/", bytearray(b"ws://h/"), ["ws://h/"], object()):
        raises(TypeError, parse, url)
    raises(TypeError, parse)


def test_userinfo_that_cannot_be_sent_is_refused():
    from modwebsocket.handshake import basic_auth

    assert basic_auth("Aladdin:open%20sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic_auth("u") == "Basic dQ=="
    for userinfo in ("u%", "u%4", "u%zz", "u%4g:p", "u p", "u\r\nX: y", "u\0", "\u00e9"):
        raises(ValueError, lambda text: basic_auth(parse(f"ws://{text}@h/")[4]), userinfo)
