"""`modwebsocket.handshake`: the request to the byte, and every wrong response."""

from helpers import ACCEPT, KEY, raises

from modwebsocket import HandshakeError
from modwebsocket.handshake import Response, check_header, is_token, request

MANDATORY = (
    "GET /p?q HTTP/1.1\r\nHost: h:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: " + KEY.decode() + "\r\nSec-WebSocket-Version: 13\r\n"
)
DEFAULTS = (("User-Agent", "ESP8266"), ("Sec-WebSocket-Protocol", "chat"))
AGENT = "User-Agent: ESP8266\r\n"
CHAT = "Sec-WebSocket-Protocol: chat\r\n"

STATUS = b"HTTP/1.1 101 Switching Protocols"
GOOD = (
    STATUS, b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + ACCEPT, b"",
)


def lines(*parts):
    """A response head of lines and of tuples of lines."""
    flat = ()
    for part in parts:
        flat += part if isinstance(part, tuple) else (part,)
    return flat


def made(headers=(), defaults=DEFAULTS):
    return request("h:80", "/p?q", KEY, headers, defaults).decode()


def fed(head, protocols=()):
    """A Response that took all lines, of which only the last one may end it."""
    response = Response(KEY, protocols)
    for line in head[:-1]:
        assert response.feed(line) is False
    assert response.feed(head[-1]) is True
    return response


def check(head, protocols=()):
    return fed(head, protocols).check()


def refused(head, protocols=()):
    """The text with which a response is refused, on whatever line."""
    return raises(HandshakeError, check, head, protocols).args[0]


# --- The request


def test_request_is_exact():
    assert made() == MANDATORY + AGENT + CHAT + "\r\n"
    assert made(defaults=()) == MANDATORY + "\r\n"
    assert isinstance(request("h", "/", KEY), bytes)


def test_users_headers_are_merged_as_in_nodemcu():
    for headers, expected in (
        ((("X-A", "1"), ("x-b", "2")), "X-A: 1\r\nx-b: 2\r\n" + AGENT + CHAT),
        # The first of a name wins, in any case: what the protocol needs, the user's, a default.
        ((("upgrade", "h2c"), ("CONNECTION", "close")), AGENT + CHAT),
        ((("sec-websocket-key", "x"), ("Sec-WebSocket-Version", "8")), AGENT + CHAT),
        ((("user-agent", "me"),), "user-agent: me\r\n" + CHAT),
        ((("SEC-WEBSOCKET-PROTOCOL", "a, b"),), "SEC-WEBSOCKET-PROTOCOL: a, b\r\n" + AGENT),
        ((("Sec-WebSocket-Protocol", ""),), "Sec-WebSocket-Protocol: \r\n" + AGENT),
        ((("X", "1"), ("x", "2"), ("X", "3")), "X: 1\r\n" + AGENT + CHAT),
        ((("X", "tab\there \u00e9"),), "X: tab\there \u00e9\r\n" + AGENT + CHAT),
    ):
        assert made(headers) == MANDATORY + expected + "\r\n", headers


def test_users_host_replaces_ours():
    for name in ("Host", "host", "HOST"):
        wire = made(((name, "other"),))
        assert wire == MANDATORY.replace("h:80", "other") + AGENT + CHAT + "\r\n"


TOKEN = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"


def test_header_names_are_tokens():
    for c in TOKEN:
        check_header(c, "")
    assert is_token(TOKEN) and not is_token("")
    for code in list(range(128)) + [0x80, 0xE9, 0x20AC, 0xFF21]:
        c = chr(code)
        letter = "A" <= c <= "Z" or "a" <= c <= "z" or "0" <= c <= "9"
        if not letter and c not in TOKEN:
            for name in (c, "X" + c, c + "X", "X" + c + "Y"):
                raises(ValueError, check_header, name, "v")
                raises(ValueError, made, ((name, "v"),))
                raises(ValueError, made, (("Host", "h"), (name, "v")))
    assert "'a b'" in raises(ValueError, check_header, "a b", "v").args[0]
    raises(ValueError, check_header, "", "v")


def test_header_values_have_no_control_characters():
    for code in range(256):
        c = chr(code)
        if (code < 32 and c != "\t") or code == 127:
            for value in (c, "v" + c, c + "v", "a\r\nX: " + c):
                raises(ValueError, check_header, "X", value)
                raises(ValueError, made, (("X", value),))
                # A header that is not sent, too.
                raises(ValueError, made, (("Upgrade", value),))
                raises(ValueError, made, (("Host", value),))
        else:
            check_header("X", "a" + c)


def test_headers_are_str():
    for bad in (None, 5, 1.5, b"x", bytearray(b"x"), ["x"], ("x",), {}, True, object()):
        raises(TypeError, check_header, "X", bad)
        raises(TypeError, check_header, bad, "v")
        raises((TypeError, AttributeError), made, ((bad, "v"),))
        raises(TypeError, made, (("X", bad),))


def test_other_malformed_headers_are_refused():
    for headers in (5, (5,), (("X",),), (("X", "1", "2"),), ("XY1",)):
        raises((TypeError, ValueError), made, headers)


def test_headers_may_come_from_a_generator():
    pairs = (("X-A", "1"), ("Host", "other"), ("X-B", "2"))
    assert made(p for p in pairs) == made(pairs)
    assert "Host: other\r\n" in made(p for p in pairs) and "X-B: 2\r\n" in made(pairs)


def test_names_of_headers_are_checked_before_use():
    for name in (None, 5, b"host", ("x",)):
        for headers in (((name, "v"),), (("X", "1"), (name, "v")), ((name, "v"), ("Host", "h"))):
            raises(TypeError, made, headers)


def test_the_path_cannot_inject_a_line():
    for path in ("", "/ HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /", "/a b", "/\r", "/\n", "/\t", "/\0",
                 "/\x7f", " /", "/ "):
        raises(ValueError, request, "h", path, KEY)
    assert request("h", "/!~?a=%20", KEY).startswith(b"GET /!~?a=%20 HTTP/1.1\r\n")


# --- The response


def test_good_responses():
    for head in (
        GOOD,
        (STATUS, GOOD[3], GOOD[2], GOOD[1], b""),
        lines(b"HTTP/1.1 101", GOOD[1:]),
        lines(b"HTTP/1.1 101 ", GOOD[1:]),
        lines(b"HTTP/1.1 101 \xff\xfe", GOOD[1:]),
        lines(STATUS, b"UPGRADE: WebSocket", b"cOnNeCtIoN: uPgRaDe", GOOD[3:]),
        (STATUS, b"Upgrade:websocket", b"Connection:Upgrade",
         b"Sec-WebSocket-Accept:" + ACCEPT, b""),
        lines(STATUS, b"Upgrade: \t websocket \t", GOOD[2:]),
        lines(GOOD[:2], b"Connection: keep-alive, Upgrade", GOOD[3:]),
        lines(GOOD[:2], b"Connection: Upgrade,keep-alive", GOOD[3:]),
        lines(GOOD[:2], b"Connection: keep-alive", b"Connection: upgrade", GOOD[3:]),
        lines(GOOD[:4], b"Server: x", b"X-Empty:", b"X-Colon: a:b: c", b""),
        lines(GOOD[:4], b"Date: Sat, 01 Jan 2000 00:00:00 GMT", b""),
    ):
        assert check(head) is None, head


def test_response_keeps_status_and_headers():
    response = fed((STATUS, b"X: 1", b"x:2", b"Y: \xc3\xa9", b""))
    assert response.status == 101
    assert response.headers == {"x": "1, 2", "y": "\u00e9"}
    response = fed((b"HTTP/1.1 401 No", b"WWW-Authenticate: Basic", b""))
    assert response.status == 401 and response.headers["www-authenticate"] == "Basic"


def test_what_is_not_http_is_refused_on_the_first_line():
    for line in (
        b"", b"HTTP", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 1", b"HTTP/1.1 10", b"HTTP/1.1 abc",
        b"HTTP/1.1  101", b"HTTP/1.1101", b"HTTP/2 101", b"HTTP/2.0 101 X", b"http/1.1 101 X",
        b" HTTP/1.1 101 X", b"ICY 200 OK", b"SSH-2.0-x", b"\x81\x05Hello", b"HTTP/1.1 -01 X",
        b"HTTP/1.1 +10 X", b"HTTP/1.1 1.1 X", b"HTTP/1.1 101X", b"HTTP/1.1 1010 X",
        b"HTTP/1.x 101 X", b"HTTP/1. 101 X",
    ):
        raises(HandshakeError, Response(KEY).feed, line)


def test_any_other_status_is_refused():
    for status in (b"200 OK", b"301 Moved", b"400 Bad", b"404 Not Found", b"426 X", b"503 X",
                   b"100 Continue", b"000 X", b"999 X"):
        head = lines(b"HTTP/1.1 " + status, GOOD[1:])
        if status[:3] != b"000":
            assert refused(head) == "HTTP " + status[:3].decode()
            head = lines(b"HTTP/1.0 " + status, GOOD[1:])
        raises(HandshakeError, check, head)


def test_http_1_0_cannot_upgrade():
    assert "HTTP" in refused(lines(b"HTTP/1.0 101 Switching Protocols", GOOD[1:]))


def test_wrong_headers_are_refused():
    for i, variants in (
        (1, ((), (b"Upgrade: h2c",), (b"Upgrade: websocket2",), (b"Upgrade:",),
             (b"X-Upgrade: websocket",), (b"Upgrade: websocket, h2c",))),
        (2, ((), (b"Connection: close",), (b"Connection: keep-alive",), (b"Connection:",),
             (b"Connection: Upgraded",), (b"Connection: x-upgrade",),
             (b"Connection: upgrade x",))),
        (3, ((), (b"Sec-WebSocket-Accept:",), (b"Sec-WebSocket-Accept: " + ACCEPT[:-1],),
             (b"Sec-WebSocket-Accept: " + ACCEPT + b"x",),
             (b"Sec-WebSocket-Accept: " + ACCEPT.lower(),),
             (b"Sec-WebSocket-Accept: " + KEY,),
             (b"Sec-WebSocket-Accept: " + ACCEPT, b"Sec-WebSocket-Accept: " + ACCEPT),
             (b"Sec-WebSocket-Accept: \xc3\xa9",))),
    ):
        for wrong in variants:
            refused(GOOD[:i] + wrong + GOOD[i + 1 :])


def test_malformed_header_lines_are_refused():
    for line in (
        b"no colon", b": no name", b"na me: v", b"name : v", b" folded", b"\tfolded: v",
        b"na\xffme: v", b"X: \xff", b"X\0: v", b"\0", b"X: a\0b", b"X: a\rb", b"(x): y",
        b"x\xc3\xa9: y", b"\x81\x05Hello",
    ):
        raises(HandshakeError, fed, lines(GOOD[:2], line, GOOD[2:]))


def test_extensions_that_nobody_asked_for_are_refused():
    for value in (b"permessage-deflate", b"x", b"permessage-deflate; server_no_context_takeover"):
        refused(lines(GOOD[:4], b"Sec-WebSocket-Extensions: " + value, b""))
    check(lines(GOOD[:4], b"Sec-WebSocket-Extensions:", b""))


def test_the_sub_protocol_is_one_of_those_offered():
    for value, offered, chosen in (
        (b"chat", ("chat",), "chat"), (b" b ", ("a", "b"), "b"), (None, ("a", "b"), None),
    ):
        head = GOOD[:4] + ((b"Sec-WebSocket-Protocol:" + value,) if value else ()) + (b"",)
        assert check(head, offered) == chosen
    for value, offered in (
        (b"chat", ()), (b"chat", ("Chat",)), (b"c", ("a", "b")), (b"a, b", ("a", "b")),
        (b"ch", ("chat",)), (b"chat2", ("chat",)),
    ):
        refused(lines(GOOD[:4], b"Sec-WebSocket-Protocol: " + value, b""), offered)
    refused(lines(GOOD[:4], b"Sec-WebSocket-Protocol: a", b"Sec-WebSocket-Protocol: b", b""),
            ("a", "b"))


def test_endless_headers_are_refused():
    response = Response(KEY)
    response.feed(STATUS)

    def flood():
        for i in range(10000):
            response.feed(b"X-%d: %s" % (i, b"y" * 100))

    raises(HandshakeError, flood)
    response = Response(KEY)
    response.feed(STATUS)
    # Also one that is repeated.
    raises(HandshakeError, lambda: any(response.feed(b"X-Repeated-header:") for _ in range(10000)))


def test_status_000_is_no_http():
    for line in (b"HTTP/1.1 000", b"HTTP/1.1 000 X", b"HTTP/1.1 001 X", b"HTTP/1.1 099"):
        raises(HandshakeError, Response(KEY).feed, line)


def test_a_cut_header_is_skipped_and_counts():
    response = Response(KEY)
    assert response.feed(STATUS) is False
    for line, cut in (
        (b"X: " + b"y" * 1000, True), (b"y" * 1000, True), (b"", False), (b"Y: 1", False),
    ):
        assert response.feed(line, cut) is False
    assert response.feed(b"") is True
    assert response.headers == {"y": "1"}
    response = Response(KEY)
    response.feed(STATUS)
    raises(HandshakeError, lambda: [response.feed(b"y" * 1000, True) for _ in range(9)])
    raises(HandshakeError, Response(KEY).feed, STATUS, True)


# --- The body of a refusal


def refusal(*headers, max_body_len=100, status=b"404"):
    """A Response with this status, its head complete."""
    response = Response(KEY, (), max_body_len)
    response.feed(b"HTTP/1.1 " + status + b" X")
    for header in headers:
        response.feed(header)
    assert response.feed(b"") is True
    return response


def test_how_much_of_a_body_is_taken():
    length = b"Content-Length: "
    for response, left in (
        (refusal(length + b"3"), 3),
        (refusal(length + b"0"), 0),
        (refusal(length + b"1000"), 100),
        (refusal(length + b"9" * 1000), 100),
        (refusal(length + b"-1"), 100),
        (refusal(length + b"3, 3"), 100),
        (refusal(), 100),
        (refusal(max_body_len=0), 0),
        (refusal(max_body_len=-1), 0),
        (refusal(length + b"3", max_body_len=0), 0),
        (refusal(length + b"3", status=b"204"), 0),
        (refusal(length + b"3", status=b"304"), 0),
        (refusal(length + b"3", status=b"101"), 0),
        (refusal(length + b"3", status=b"100"), 0),
        (refusal(length + b"3", b"Transfer-Encoding: chunked"), 100),
    ):
        assert response.body_left == left, response.headers
        assert response.body == b""


def test_body_is_taken_whole_or_cut():
    response = refusal(b"Content-Length: 5")
    assert response.feed_body(b"he") is False
    assert response.feed_body(b"llo, more") is True
    assert (response.body, response.body_left) == (b"hello", 0)
    response = refusal()
    assert response.feed_body(b"x" * 99) is False
    assert response.feed_body(b"y" * 99) is True
    assert response.body == b"x" * 99 + b"y"


CHUNKED = b"Transfer-Encoding: Chunked"


def test_body_in_chunks():
    for wire, body in (
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"2;x=y\r\nhe\r\n0003\r\nllo\r\n0;z\r\nTrailer: x\r\n\r\n", b"hello"),
        (b"A\r\n0123456789\r\n0\r\n", b"0123456789"),
        (b"0\r\n\r\n", b""),
        (b"x\r\nhello", b""),
        (b"3\r\nabc\r\n-3\r\nabc", b"abc"),
        (b"3\r\nabcd\r\nx\r\n", b"abc"),
    ):
        for step in range(1, len(wire) + 1):
            response = refusal(CHUNKED)
            for i in range(0, len(wire), step):
                if response.feed_body(wire[i : i + step]):
                    break
            assert (response.body, response.body_left) == (body, 0), (wire, step)


def test_body_in_chunks_is_bounded():
    for wire in (b"FFFFFFFFFFFF\r\n" + b"x" * 2000, b"1\r\nx\r\n" * 400, b"5" * 2000,
                 b"5;" + b"y" * 2000):
        response = refusal(CHUNKED)
        for i in range(0, len(wire), 7):
            if response.feed_body(wire[i : i + 7]):
                break
        assert i < 110 and len(response.body) <= 100 and not response.body_left
