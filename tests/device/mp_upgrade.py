"""`modwebsocket.upgrade`: every request that is refused, and the answers to the byte."""

from helpers import ACCEPT, KEY, raises

from modwebsocket import HandshakeError
from modwebsocket.upgrade import Request, head, refusal, response

REQUEST = b"GET /p?q HTTP/1.1"
HEADERS = {
    "Host": "h:80",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY.decode(),
    "Sec-WebSocket-Version": "13",
}


def fed(line=REQUEST, more=(), **replaced):
    """A Request that took this.  replaced: Header_Name="value" or None. more: lines."""
    request = Request()
    assert request.feed(line) is False
    headers = dict(HEADERS)
    for name in replaced:
        headers[name.replace("_", "-")] = replaced[name]
    for name in headers:
        if headers[name] is not None:
            assert request.feed(("%s: %s" % (name, headers[name])).encode()) is False
    for one in more:
        assert request.feed(one) is False
    assert request.feed(b"") is True
    return request


def refused(request, *args):
    """The status and the text with which check() refuses a request."""
    error = raises(HandshakeError, request.check, *args)
    return request.status, error.args[0]


def test_good_request_is_accepted():
    request = fed()
    assert (request.method, request.path, request.version, request.status) == (
        "GET", "/p?q", 1, 0)
    assert request.headers["host"] == "h:80" and request.is_upgrade()
    assert request.check() is None
    assert request.answer() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n")
    assert b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n" in request.answer("chat")


def test_tokens_may_have_company_and_any_case():
    for replaced in (
        {"Upgrade": "WebSocket"}, {"Upgrade": "h2c, websocket"}, {"Connection": "UPGRADE"},
        {"Connection": "keep-alive , upgrade"}, {"Connection": "a,upgrade,b"},
    ):
        assert fed(**replaced).check() is None


def test_repeated_headers_are_joined():
    request = fed(Connection="keep-alive", more=(b"connection: Upgrade", b"X: a", b"x: b"))
    assert request.check() is None and request.headers["x"] == "a, b"


def test_each_requirement_is_checked():
    for replaced, verdict in (
        ({"Host": None}, (400, "Host")),
        ({"Host": "a, b"}, (400, "Host")),
        ({"Upgrade": None}, (426, "Upgrade")),
        ({"Upgrade": "websockets"}, (426, "Upgrade")),
        ({"Connection": None}, (400, "Connection")),
        ({"Connection": "keep-alive"}, (400, "Connection")),
        ({"Sec_WebSocket_Version": None}, (400, "Sec-WebSocket-Version")),
        ({"Sec_WebSocket_Version": "8"}, (426, "Sec-WebSocket-Version")),
        ({"Sec_WebSocket_Version": "13, 13"}, (426, "Sec-WebSocket-Version")),
        ({"Content_Length": "1"}, (400, "body")),
        ({"Transfer_Encoding": "chunked"}, (400, "body")),
    ):
        assert refused(fed(**replaced)) == verdict
    assert refused(fed(b"POST / HTTP/1.1")) == (405, "method")
    assert refused(fed(b"GET / HTTP/1.0")) == (400, "HTTP version")


def test_key_is_16_bytes_of_base64():
    good = KEY.decode()
    for key in (None, "", good[:-1], good + "=", good[:21] + "B==", "!" + good[1:],
                good[:22] + "A=", good[:11] + " " + good[12:], good + ", " + good,
                "\u00e9" + good[2:]):
        assert refused(fed(Sec_WebSocket_Key=key)) == (400, "Sec-WebSocket-Key"), key


def test_origins():
    with_one, without = fed(Origin="http://a"), fed()
    for origins, one, none in (
        (None, True, True),
        (("http://a",), True, False),
        (("http://b",), False, False),
        (("http://b", None), False, True),
        (lambda origin: origin == "http://a", True, False),
    ):
        for request, allowed in ((with_one, one), (without, none)):
            if allowed:
                assert request.check((), origins) is None
            else:
                assert refused(request, (), origins) == (403, "Origin")


def test_sub_protocol_is_the_servers_choice():
    offer = fed(Sec_WebSocket_Protocol="a, b,c")
    assert offer.check(("x", "c", "a")) == "c"
    assert offer.check(("x",)) is None
    assert offer.check() is None
    assert offer.check(lambda offered: offered[-1]) == "c"
    assert fed().check(("a",)) is None
    assert fed().check(lambda offered: offered or None) is None


def test_malformed_lines_are_refused():
    for lines, status in (
        ((b"GET /",), 400),
        ((b"GET  / HTTP/1.1",), 400),
        ((b"G\xc3\xa9T / HTTP/1.1",), 400),
        ((b"GET http://h/ HTTP/1.1",), 400),
        ((b"GET /\x7f HTTP/1.1",), 400),
        ((b"GET / HTTQ/1.1",), 400),
        ((b"GET / HTTP/1.11",), 400),
        ((b"GET / HTTP/2.0",), 505),
        ((REQUEST, b"no colon"), 400),
        ((REQUEST, b": no name"), 400),
        ((REQUEST, b"a b: c"), 400),
        ((REQUEST, b" a: b"), 400),
        ((REQUEST, b"a : b"), 400),
        ((REQUEST, b"a: \xff"), 400),
        ((REQUEST, b"a: b\rc"), 400),
        ((REQUEST, b"a: b\0c"), 400),
        ((b"GET /" + b"x" * 4100 + b" HTTP/1.1",), 414),
        ((REQUEST, b"a: " + b"x" * 4100), 431),
    ):
        request = Request()
        for line in lines[:-1]:
            assert not request.feed(line)
        raises(HandshakeError, request.feed, lines[-1])
        assert request.status == status, (lines, request.status)


def test_empty_lines_before_a_request_are_no_request():
    request = Request()
    assert not request.feed(b"") and not request.feed(b"") and not request.feed(REQUEST)
    assert request.feed(b"") and request.path == "/p?q"


def test_head_is_limited_however_it_comes():
    for line in (b"", b"a: b", b"x" * 100):
        request = Request(500)

        def feed(request=request, line=line):
            for i in range(600):
                request.feed(REQUEST if i == 0 and line else line, i > 0 and len(line) > 50)

        raises(HandshakeError, feed)
        assert request.status in (414, 431)


def test_long_header_is_skipped_and_a_long_path_is_not():
    request = Request()
    request.feed(REQUEST)
    assert not request.feed(b"Cookie: xxx", True)
    assert not request.feed(b"xxx", True)
    assert not request.feed(b"the end of it")
    assert not request.feed(b"Host: h")
    assert request.feed(b"") and request.headers == {"host": "h"}
    request = Request()
    raises(HandshakeError, request.feed, b"GET /xxx", True)
    assert request.status == 414


def test_pages_are_got_without_a_body():
    for line, status in ((REQUEST, 0), (b"HEAD / HTTP/1.0", 0), (b"PUT / HTTP/1.1", 405)):
        request = fed(line)
        if status:
            raises(HandshakeError, request.check_http)
        else:
            request.check_http()
        assert request.status == status


def test_responses_are_exact():
    assert head(404, (("A", "b"),)) == b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n"
    assert response(200, 5, "text/html") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n"
        b"Connection: close\r\n\r\n")
    assert refusal(503, "busy").endswith(b"Content-Length: 5\r\nConnection: close\r\n\r\nbusy\n")
    assert refusal(408).endswith(b"\r\n\r\nRequest Timeout\n")
    assert b"\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" in refusal(426)
    assert b"\r\nAllow: GET, HEAD\r\n" in refusal(405)
