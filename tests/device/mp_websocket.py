"""`import websocket`: what of NodeMCU's API needs no server but the one in this process."""

import binascii
import socket
from errno import ENOTCONN
from time import sleep_ms

from helpers import (
    BINARY,
    CLOSE,
    FIN,
    PING,
    PONG,
    TEXT,
    Peer,
    Stream,
    fits,
    frame,
    frames,
    raises,
)

import modwebsocket
import websocket
from modwebsocket import pump, step

EISCONN = 106  # not in every errno
MASK = b"\x0a\x0b\x0c\x0d"


def closed_with(client, url):
    """The arguments of the close event that connect(url) emits before it returns."""
    calls = []
    client.on("close", lambda *args: calls.append(args))
    assert client.connect(url) is None
    return calls


def request_of(client, url):
    """The head that client.connect(url) would send; the attempt is given up."""
    stream = Stream()
    pump._alone(client, connect_to, url, stream)
    client.close()
    while step(10):
        pass
    return stream.written.decode()


def connect_to(client, url, stream):
    # What request_of() does while nothing dials in the background.
    client.connect(url)
    client._link._conn.flush(stream)


def opened(**handlers):
    """(client, peer) of an open connection; handlers by event."""
    peer = Peer(step)
    client = websocket.createClient()
    done = []
    connection = handlers.pop("connection", None)

    def on_connection(ws):
        done.append(1)
        if connection:
            connection(ws)

    client.on("connection", on_connection)
    for event, handler in handlers.items():
        client.on(event, handler)
    client.connect(peer.url)
    peer.upgrade()
    peer.until(lambda: done)
    return client, peer


# --- The module


def test_versions_are_one():
    assert websocket.__version__ == modwebsocket.__version__
    assert [part.isdigit() for part in websocket.__version__.split(".")] == [True] * 3


def test_the_built_in_class_is_still_there():
    import uwebsocket

    assert websocket.websocket is uwebsocket.websocket
    assert hasattr(uwebsocket, "createClient") is False


def test_clients_are_independent():
    a = websocket.createClient()
    b = websocket.createClient()
    assert a is not b
    a.on("close", lambda: raises(ValueError, int, "never"))
    assert closed_with(b, "x") == [(b, -1)]


# --- on, config


def test_on_checks_its_arguments():
    client = websocket.createClient()
    for event in ("", "connect", "Close", "close ", "message", "error"):
        assert event in str(raises(ValueError, client.on, event, print))
    for event in (None, 5, b"close", ["close"]):
        raises((ValueError, TypeError), client.on, event, print)
    for function in (5, "print", b"", [print], {}, object(), True):
        for event in ("connection", "receive", "close", "sent"):
            raises(TypeError, client.on, event, function)
    raises(TypeError, client.on, "close")
    for event in ("connection", "receive", "close", "sent"):
        assert client.on(event, print) is None
        assert client.on(event, None) is None


def test_on_replaces_and_unregisters():
    client = websocket.createClient()
    calls = []
    client.on("close", lambda: calls.append(1))
    client.connect("x")
    client.on("close", lambda: calls.append(2))
    client.connect("x")
    client.on("close", None)
    client.connect("x")
    assert calls == [1, 2]


def test_config_checks_its_argument_and_then_changes_nothing():
    client = websocket.createClient()
    client.config({"headers": {"X-Kept": "1"}})
    for params in (None, 5, "headers", [("headers", {})], b"", True):
        raises(TypeError, client.config, params)
    raises(TypeError, client.config)
    for value in (5, "X: y", [("X", "y")], ("X", "y"), b"", True):
        raises(TypeError, client.config, {"headers": value})
    for headers in (
        {"X": 5}, {"X": None}, {"X": b"v"}, {"X": ["v"]}, {5: "v"}, {None: "v"}, {b"X": "v"},
    ):
        raises(TypeError, client.config, {"headers": headers})
    for headers in (
        {"": "v"}, {"X Y": "v"}, {"X:": "v"}, {"X\r\nY": "v"}, {"\u00e9": "v"}, {"X": "a\r\nY: b"},
        {"X": "a\n"}, {"X": "\0"}, {"X": "\x7f"}, {"Good": "v", "Bad\n": "v"},
    ):
        raises(ValueError, client.config, {"headers": headers})
    for key in ("max_message_len", "connect_timeout_ms", "ping_interval_ms", "close_timeout_ms"):
        for value in ("5", None, 1.5, b"", [1]):
            assert key in str(raises(TypeError, client.config, {key: value}))
        assert key in str(raises(ValueError, client.config, {key: -1}))
    for value in (5, b"chat", ["chat"]):
        raises(TypeError, client.config, {"protocol": value})
    for value in ("a\r\nX: y", "a\0", "\x7f"):
        raises(ValueError, client.config, {"protocol": value})
    for key in ("header", "Headers", "", "x"):
        assert key in str(raises(ValueError, client.config, {key: 1}))
    raises((ValueError, TypeError), client.config, {5: 1})
    raises(ValueError, client.config, {"headers": {"X-New": "1"}, "ping_interval_ms": -1})
    assert "X-Kept: 1\r\n" in request_of(client, "ws://127.0.0.1/")


def test_a_number_too_big_for_the_engine_is_refused():
    def attempt(key):
        client = websocket.createClient()
        client.config({key: 1 << 70})
        client.connect("ws://127.0.0.1/")

    for key in ("max_message_len", "connect_timeout_ms", "ping_interval_ms", "close_timeout_ms"):
        raises((ValueError, OverflowError), attempt, key)


# --- The request


NODEMCU = (
    "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
AGENT = "User-Agent: ESP8266\r\n"
CHAT = "Sec-WebSocket-Protocol: chat\r\n"


def key_of(head):
    return head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]


def test_request_is_nodemcus():
    client = websocket.createClient()
    for url, path, host in (
        ("ws://127.0.0.1", "/", "127.0.0.1:80"),
        ("ws://127.0.0.1:80/", "/", "127.0.0.1:80"),
        ("ws://127.0.0.1:8080/a?b=c#d", "/a?b=c", "127.0.0.1:8080"),
        ("ws://127.0.0.1?x=1", "/?x=1", "127.0.0.1:80"),
        ("ws://[::1]:81/", "/", "[::1]:81"),
    ):
        head = request_of(client, url)
        assert head == NODEMCU % (path, host, key_of(head), AGENT + CHAT), head


def test_keys_are_fresh_and_16_bytes():
    client = websocket.createClient()
    keys = {key_of(request_of(client, "ws://127.0.0.1/")) for _ in range(20)}
    assert len(keys) == 20
    assert [len(binascii.a2b_base64(key)) for key in keys] == [16] * 20


def test_config_changes_the_next_request():
    client = websocket.createClient()
    for params, expected in (
        ({}, AGENT + CHAT),
        ({"headers": {"X-A": "1"}}, "X-A: 1\r\n" + AGENT + CHAT),
        ({"headers": None}, "X-A: 1\r\n" + AGENT + CHAT),
        ({"headers": {"user-agent": "me"}}, "user-agent: me\r\n" + CHAT),
        ({"headers": {"SEC-WEBSOCKET-PROTOCOL": "x"}}, "SEC-WEBSOCKET-PROTOCOL: x\r\n" + AGENT),
        ({"headers": {}}, AGENT + CHAT),
        ({"protocol": "mqtt"}, AGENT + CHAT.replace("chat", "mqtt")),
        ({"protocol": None}, AGENT),
        ({"headers": {"upgrade": "no", "Connection": "no", "sec-websocket-version": "8"}}, AGENT),
    ):
        assert client.config(params) is None
        head = request_of(client, "ws://127.0.0.1/")
        assert head == NODEMCU % ("/", "127.0.0.1:80", key_of(head), expected), head


def test_userinfo_becomes_authorization():
    head = request_of(websocket.createClient(), "ws://Aladdin:open%20sesame@127.0.0.1/")
    assert "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" in head
    assert "Host: 127.0.0.1:80\r\n" in head


# --- connect, send, close


def test_bad_urls_close_before_connect_returns():
    client = websocket.createClient()
    for code, urls in (
        (-1, ("", "h", "http://h/", "ws:/h/", "//h/", "://h")),
        (-2, ("ws://" + "h" * 256, "ws://" + "h" * 256 + "/", "ws://" + "h" * 253 + ":81/")),
        (-3, ("ws://h:0/", "ws://h:/", "ws://h:65536/", "ws://h:x/", "ws://h:80abc/")),
        (-4, ("ws://:80/", "ws:///p", "ws://", "ws://?q")),
    ):
        for url in urls:
            assert closed_with(client, url) == [(client, code)], url
            assert client.stage == "url" and client.close_code == 1006
            assert client.errno == 0 and client.http_status == 0 and client.close_reason == ""
    # Without a handler, too.
    client.on("close", None)
    assert client.connect("x") is None


def test_other_bad_addresses_raise_and_leave_the_client_idle():
    client = websocket.createClient()
    calls = []
    client.on("close", lambda ws, code: calls.append(code))
    for url in (None, 5, b"ws://h/", ["ws://h/"]):
        raises(TypeError, client.connect, url)
    for url in ("ws://h/a b", "ws://h/\r\nX: y", "ws://h/\0", "ws://h/\u00e9"):
        raises(ValueError, client.connect, url)
    assert calls == []
    client.connect("x")
    assert calls == [-1]


def test_userinfo_that_cannot_be_sent_is_no_surprise():
    client = websocket.createClient()
    for url in ("ws://u%zz@h/", "ws://u%@h/"):
        raises(ValueError, client.connect, url)
        assert closed_with(client, "x") == [(client, -1)]


def test_send_needs_a_connection():
    client = websocket.createClient()

    def refused():
        error = raises(OSError, client.send, "x")
        assert error.errno == ENOTCONN and "Websocket isn't connected." in str(error)
        for opcode in (BINARY, CLOSE, PING, PONG):
            raises(OSError, client.send, b"", opcode)

    refused()
    client.connect("ws://127.0.0.1/")
    refused()
    client.close()
    refused()
    while step(10):
        pass
    refused()


def test_connect_needs_an_idle_client():
    client = websocket.createClient()
    silent = Peer(step)
    client.connect(silent.url)
    for url in (silent.url, "x"):
        error = raises(OSError, client.connect, url)
        assert error.errno == EISCONN
        assert "Websocket already connecting or connected." in str(error)

    def close_and_connect(client, url, _):
        client.close()
        return raises(OSError, client.connect, url)

    # On a chip the close event would come between the two.
    assert pump._alone(client, close_and_connect, "x", None).errno == EISCONN
    while step(10):
        pass
    assert closed_with(client, "x") == [(client, -1)]


def test_close_of_an_idle_client_does_nothing():
    client = websocket.createClient()
    calls = []
    client.on("close", lambda: calls.append(1))
    assert client.close() is None
    client.connect("x")
    client.close()
    client.close()
    assert calls == [1] and not step(0)


def give_up(client, calls, _):
    client.close()
    client.close()
    assert calls == []  # not before something is served


def test_close_gives_up_an_attempt_with_one_event_and_status_0():
    client = websocket.createClient()
    for turns in range(3):
        peer = Peer(step)
        calls = []
        client.on("close", lambda ws, code, calls=calls: calls.append(code))
        client.on("connection", lambda ws, calls=calls: calls.append("connection"))
        client.connect(peer.url)
        for _ in range(turns):
            step(5)
        pump._alone(client, give_up, calls, None)
        while step(10):
            pass
        assert calls == [0] and client.http_status == 0
        peer.close()


def test_connect_in_the_close_handler_is_safe():
    client = websocket.createClient()
    codes = []
    depth = fits(30, 4)  # of calls within calls

    def again(ws, code):
        codes.append(code)
        if len(codes) < depth:
            ws.connect("x" if len(codes) % 3 else "ws://h:0/")

    client.on("close", again)
    client.connect("x")
    assert codes[:4] == [-1, -1, -1, -3] and len(codes) == depth
    peer = Peer(step)
    codes.clear()
    depth = fits(3, 2)
    client.on(
        "close", lambda ws, code: (codes.append(code), len(codes) < depth and ws.connect("x"))
    )
    client.connect(peer.url)
    peer.accept()
    peer.sock.write("HTTP/1.1 404 Not Found\r\n\r\n")
    peer.until(lambda: codes)
    assert codes == [-17, -1, -1][:depth] and not step(0)
    peer.close()


def test_messages_pass():
    got = []
    client, peer = opened(
        receive=lambda ws, message, opcode: got.append((ws, message, opcode)),
        connection=lambda ws: ws.send("first"),
    )
    peer.sock.write(frame(TEXT, "\u20ac".encode()) + frame(BINARY, b"\xff") + frame(TEXT))
    peer.until(lambda: len(got) == 3)
    assert got == [(client, "\u20ac", TEXT), (client, b"\xff", BINARY), (client, "", TEXT)]
    client.send("text")
    client.send(b"bytes")
    client.send(b"\xfe", BINARY)
    client.send(bytearray(b"abc"), 2)
    client.send("p", PING)
    client.send(b"q", PONG)
    sent = [(FIN | TEXT, b"first"), (FIN | TEXT, b"text"), (FIN | TEXT, b"bytes"),
            (FIN | BINARY, b"\xfe"), (FIN | BINARY, b"abc"), (FIN | PING, b"p"),
            (FIN | PONG, b"q")]
    size = sum(6 + len(payload) for _, payload in sent)
    wire = peer.read(lambda data: len(data) >= size)
    assert [(first, payload) for first, key, payload in frames(wire) if key] == sent
    peer.close()


def test_send_checks_its_arguments():
    codes = []
    client, peer = opened(close=lambda ws, code: codes.append(code))
    for opcode in (0, 3, 4, 5, 6, 7, 11, 15, 16, -1, 128, 129, 1 << 20):
        raises(ValueError, client.send, "x", opcode)
    for opcode in ("1", None, 1.5, b"\x01"):
        raises(TypeError, client.send, "x", opcode)
    for message in (None, 5, 1.5, ["x"], {}, object()):
        raises(TypeError, client.send, message)
        raises(TypeError, client.send, message, BINARY)
        raises(TypeError, client.send, message, CLOSE)
    for message in (b"\xff", chr(0xD800), bytearray(b"\x80")):
        raises(ValueError, client.send, message)
    for opcode in (PING, PONG):
        raises(ValueError, client.send, b"x" * 126, opcode)
    for payload in (b"\x03", b"\x00\x00", b"\x03\xed", b"\x03\xe8\xff", b"\x03\xe8" + b"x" * 124):
        raises(ValueError, client.send, payload, CLOSE)
    raises(TypeError, client.send)
    client.send("only")
    assert frames(peer.read(lambda data: len(data) >= 10))[0][2] == b"only"
    assert codes == []
    peer.close()


def test_opcode_8_is_close():
    for payload, expected in (
        (b"", b"\x03\xe8"), (b"\x0b\xb8", b"\x0b\xb8"), (b"\x03\xe9bye", b"\x03\xe9bye"),
    ):
        codes = []
        client, peer = opened(close=lambda ws, code, codes=codes: codes.append(code))
        client.send(payload, CLOSE)
        raises(OSError, client.send, "late")
        size = 6 + len(expected)
        wire = peer.read(lambda data, size=size: len(data) >= size)
        assert [(f, p) for f, _, p in frames(wire)] == [(FIN | CLOSE, expected)]
        peer.sock.write(frame(CLOSE, expected))
        peer.sock.close()
        peer.until(lambda codes=codes: codes)
        assert codes == [0] and client.close_code == expected[0] << 8 | expected[1]
        peer.close()


def test_a_servers_close_is_minus_6():
    codes = []
    client, peer = opened(close=lambda ws, code: codes.append(code))
    peer.sock.write(frame(CLOSE, b"\x0b\xb9why"))
    assert frames(peer.read(lambda data: len(data) >= 8))[0][0] == FIN | CLOSE
    peer.sock.close()
    peer.until(lambda: codes)
    assert codes == [-6]
    assert (client.close_code, client.close_reason, client.stage) == (3001, "why", "closing")
    peer.close()


# --- Handlers


class Bound:
    def __init__(self):
        self.calls = []

    def none(self):
        self.calls.append(())

    def one(self, ws):
        self.calls.append((ws,))

    def two(self, ws, status):
        self.calls.append((ws, status))

    def __call__(self, ws):
        self.calls.append(("called", ws))


def test_handlers_may_take_fewer_arguments():
    client = websocket.createClient()
    calls = []

    def default(ws, status=None, more=5):
        calls.append((ws, status, more))

    for handler, expected in (
        (lambda: calls.append(()), ()),
        (lambda ws: calls.append((ws,)), (client,)),
        (lambda ws, status: calls.append((ws, status)), (client, -1)),
        (lambda *args: calls.append(args), (client, -1)),
        (lambda ws, *args: calls.append((ws,) + args), (client, -1)),
        (default, (client, -1, 5)),
    ):
        client.on("close", handler)
        for _ in range(3):  # the answer is kept
            calls.clear()
            client.connect("x")
            assert calls == [expected], calls
    bound = Bound()
    for handler, expected in (
        (bound.none, ()), (bound.one, (client,)), (bound.two, (client, -1)),
        (bound, ("called", client)), (bound.calls.append, client),
    ):
        client.on("close", handler)
        for _ in range(3):
            bound.calls.clear()
            client.connect("x")
            assert bound.calls == [expected], bound.calls
    client.on("close", print)
    client.connect("x")


def test_receive_handlers_may_take_fewer_arguments():
    calls = []
    client, peer = opened()
    for handler, expected in (
        (lambda: calls.append(()), ()),
        (lambda ws: calls.append((ws,)), (client,)),
        (lambda ws, message: calls.append((ws, message)), (client, "m")),
        (lambda ws, message, opcode: calls.append((ws, message, opcode)), (client, "m", 1)),
        (lambda *args: calls.append(args), (client, "m", 1)),
    ):
        client.on("receive", handler)
        calls.clear()
        for _ in range(3):
            peer.sock.write(frame(TEXT, b"m"))
        peer.until(lambda: len(calls) >= 3)
        assert calls == [expected] * 3, calls
    peer.close()


def test_a_handlers_own_type_error_is_no_wrong_count():
    client = websocket.createClient()
    calls = []

    def body():
        calls.append("body")
        return 1 + "x"

    def one(ws):
        calls.append("one")
        body(ws)  # a call that is refused, but not ours

    def both(*args):
        calls.append(len(args))
        return None()

    for handler, expected in ((body, ["body"]), (one, ["one"]), (both, [2])):
        client.on("close", handler)
        for _ in range(3):
            calls.clear()
            assert client.connect("x") is None
            assert calls == expected, calls


def test_a_handler_that_takes_more_arguments_is_never_called():
    client = websocket.createClient()
    calls = []
    client.on("close", lambda a, b, c: calls.append(1))
    assert client.connect("x") is None
    assert calls == []


def test_an_error_in_a_handler_stops_nothing():
    calls = []

    def fail(ws, message=None):
        calls.append(message)
        raise ValueError("on purpose")

    client, peer = opened(receive=fail, connection=fail, close=fail)
    peer.sock.write(frame(TEXT, b"1") + frame(TEXT, b"2"))
    peer.until(lambda: len(calls) == 3)
    client.send("alive")
    peer.read(lambda data: len(data) >= 11)
    peer.sock.write(frame(CLOSE))
    peer.sock.close()
    peer.until(lambda: len(calls) == 4)
    assert calls == [None, "1", "2", -6]
    peer.close()


# --- WebREPL


def test_webrepl_shakes_hands_through_the_module():
    # As micropython-lib's webrepl.py does it, behind the HTTP part.
    import _webrepl

    assert hasattr(websocket, "createClient")
    peer = Peer(sleep_ms)
    browser = socket.socket()
    host, port = peer.host.split(":")
    browser.connect(socket.getaddrinfo(host, int(port))[0][-1])
    peer.sock = browser
    cl = peer.listener.accept()[0]
    _webrepl.password("secret")
    ws = websocket.websocket(cl, True)
    ws = _webrepl._webrepl(ws)
    cl.setblocking(False)
    browser.setblocking(False)

    def receives(text):
        wire = peer.read(lambda got: len(got) >= 2 + len(text))
        assert frames(wire) == [(FIN | TEXT, None, text)], wire

    receives(b"Password: ")
    buf = bytearray(1)
    browser.write(frame(TEXT, b"secret\r", MASK))
    sleep_ms(10)
    assert ws.readinto(buf) is None
    receives(b"\r\nWebREPL connected\r\n>>> ")
    # Now it is a terminal.
    browser.write(frame(TEXT, b"1", MASK))
    sleep_ms(10)
    assert ws.readinto(buf) == 1 and buf == b"1"
    ws.write(b"out")
    receives(b"out")
    peer.close()
