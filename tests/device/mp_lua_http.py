"""`lua_compat.lua_http`: what needs no peer; its calls with one are in tests/peer."""

import socket

from helpers import raises

from lua_compat import lua_http
from lua_compat.lua_http import Headers, build_close, build_frame, new_from_stream, parse_close

GOOD = {
    "upgrade": "websocket", "connection": "upgrade", "sec-websocket-key": "foo",
    "sec-websocket-version": "13",
}  # fmt: skip


def error(function, *args):
    try:
        function(*args)
    except ValueError as e:
        return e.args[0]
    return None


def test_build_frame_has_the_rfcs_vectors():
    hello = {"FIN": True, "MASK": False, "opcode": 1, "data": "Hello"}
    assert build_frame(hello) == b"\x81\x05Hello"
    hello.update({"MASK": True, "key": (0x37, 0xFA, 0x21, 0x3D)})
    assert build_frame(hello) == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert build_frame({"opcode": 1, "data": b"Hel"}) == b"\x01\x03Hel"
    assert build_frame({"opcode": 0, "FIN": True, "data": b"lo"}) == b"\x80\x02lo"
    assert build_frame({"opcode": 2, "FIN": True, "data": bytes(256)})[:5] == b"\x82\x7e\1\0\0"


def test_build_frame_of_64_kib():
    try:
        made = build_frame({"opcode": 2, "data": bytes(65535)})[:4]
        assert made == b"\x02\x7e\xff\xff"
        made = build_frame({"opcode": 2, "FIN": True, "data": bytes(65536)})
    except MemoryError:
        return  # a small board
    assert made[:11] == b"\x82\x7f\0\0\0\0\0\1\0\0\0"


def test_build_frame_sets_each_reserved_bit():
    for name, first in (("RSV1", 0x41), ("RSV2", 0x21), ("RSV3", 0x11)):
        assert build_frame({"opcode": 1, name: True}) == bytes((first, 0))
    masked = build_frame({"opcode": 1, "MASK": True, "data": "x"})
    assert len(masked) == 7 and masked[6] ^ masked[2] == ord("x")


def test_build_frame_checks_opcode_and_length():
    for frame in ({"opcode": -1}, {"opcode": 16}, {}):
        assert error(build_frame, frame) == "Invalid WebSocket opcode"
    for n, text in (
        (125, None),
        (126, "WebSocket control frames MUST have a payload length of 125 bytes or less."),
    ):
        assert error(build_frame, {"opcode": 8, "data": "f" * n}) == text


def test_close_frames():
    frame = {"opcode": 8, "FIN": True, "MASK": False, "data": b"\3\xe8"}
    assert build_close(1000, None, False) == frame
    frame["data"] += b"error"
    assert build_close(1000, "error", False) == frame
    frame["data"] = b""
    assert build_close(None, None, False) == frame
    assert error(build_close, 1000, "f" * 123) is None
    assert error(build_close, 1000, "f" * 124) == "Close reason must be <=123 bytes"
    assert parse_close(b"") == (None, None) and parse_close(b"\3") == (None, None)
    assert parse_close(b"\3\xe8") == (1000, None)
    assert parse_close(b"\3\xe8error") == (1000, b"error")


def test_new_says_what_it_is_and_can_be_closed():
    ws = lua_http.new_from_uri("wss://example.com")
    assert str(ws) == 'http.websocket{type="client";readyState=0}'
    assert ws.close_timeout == 3 and ws.protocol is None
    assert ws.close() is True and ws.readyState == 3 and ws.close() is True
    assert str(lua_http.new("server")) == 'http.websocket{type="server";readyState=0}'
    raises(ValueError, lua_http.new, "peer")
    raises(ValueError, ws.connect)
    raises(ValueError, lua_http.new("client").connect)
    raises(ValueError, lua_http.new("server").accept)
    assert lua_http.methods is lua_http.mt is lua_http.WebSocket


def test_new_from_uri_checks_it():
    new = lua_http.new_from_uri
    for uri, text in (
        ("example.com", "URI missing scheme"), ({"host": "x"}, "URI missing scheme"),
        ("ftp://example.com", "scheme not valid"), ("ws://", "URI must include a host"),
        ({"scheme": "ws"}, "URI must include a host"), ("ws://a b/", "invalid URI"),
        ("ws://a:x/", "invalid URI"),
    ):  # fmt: skip
        assert error(new, uri) == text, uri
    assert error(new, "ws://x", ["a", "b", "a"]) == "duplicate protocol"
    for protocol in ("", "a b", "a@b", "a\x7f"):
        assert error(new, "ws://x", [protocol]) == "invalid protocol"
    for uri, url in (
        ("http://x/a?b", "ws://x/a?b"), ("HTTPS://x", "wss://x"),
        ({"scheme": "ws", "host": "::1", "port": 81, "path": "/a", "query": "b",
          "userinfo": "u:p"}, "ws://u:p@[::1]:81/a?b"),
    ):  # fmt: skip
        assert new(uri).request.url == url


def test_new_from_stream_takes_a_dict_and_a_socket():
    sock = socket.socket()
    ws, text, errno = new_from_stream(sock, GOOD)
    assert (ws.type, ws.readyState, ws.key, text, errno) == ("server", 0, "foo", None, None)
    stream = lua_http.new_stream(sock)
    for version, text in (
        (1.0, "upgrade headers MUST be ignored in HTTP 1.0"),
        (2.0, "websockets only supported with HTTP 1.x"),
        (0.9, "websockets only supported with HTTP 1.x"),
    ):  # fmt: skip
        stream.version = version
        assert new_from_stream(stream, GOOD) == (None, text, 22)
    stream.type = "client"
    raises(ValueError, new_from_stream, stream, GOOD)
    sock.close()


def test_new_from_stream_says_what_is_wrong_first():
    stream = lua_http.new_stream(socket.socket())
    headers = {"sec-websocket-protocol": "a, a", "connection": "a b"}
    stream.version = 2.0
    for name, value, text in (
        ("version", 1.0, "websockets only supported with HTTP 1.x"),
        ("version", 1.1, "upgrade headers MUST be ignored in HTTP 1.0"),
        ("upgrade", "WebSocket", "upgrade header not websocket"),
        ("connection", "close", "invalid connection header"),
        ("connection", "close, Upgrade", "connection header doesn't contain upgrade"),
        ("sec-websocket-key", "foo", "missing sec-websocket-key"),
        ("sec-websocket-version", "13", "unsupported sec-websocket-version"),
        ("sec-websocket-protocol", "a, a@", "duplicate protocol"),
        ("sec-websocket-protocol", "a, b", "invalid sec-websocket-protocol header"),
    ):  # fmt: skip
        assert new_from_stream(stream, headers) == (None, text, 22)
        if name == "version":
            stream.version = value
        else:
            headers[name] = value
    ws, text, errno = new_from_stream(stream, headers)
    assert (ws.protocols, text, errno) == (["a", "b"], None, None)
    stream.close()


def test_headers_keep_their_order_and_know_no_case():
    headers = Headers([("A", "1"), ("b", "2")])
    headers.append("a", "3")
    assert headers.get("A") == "1" and headers.get("c") is None
    assert headers.has("B") and not headers.has("c")
    assert headers.get_comma_separated("A") == "1,3"
    copy = headers.clone()
    headers.upsert("A", "4")
    assert list(headers) == [("b", "2"), ("a", "4")]
    assert list(copy.each()) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert copy.delete("a") and not copy.delete("a")


def test_check_raises_what_a_call_returned():
    assert lua_http.check((True, None, None)) is True
    try:
        lua_http.check((None, "connect: Connection timed out", 110))
    except OSError as e:
        assert e.args == (110, "connect: Connection timed out")
    else:
        raise AssertionError
