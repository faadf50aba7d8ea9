"""Defold's API: each function, event, constant, default, text and timing of its contract."""

import asyncio
import re
import textwrap
from pathlib import Path

import pytest
from peer.servers import (
    BINARY,
    CLOSE,
    FIN,
    PING,
    PONG,
    TEXT,
    close,
    close_payload,
    frame,
    wait,
)

ROOT = Path(__file__).resolve().parent.parent.parent

PRELUDE = """
import sys
from lua_compat import defold as websocket

url = sys.argv[1] if len(sys.argv) > 1 else None

def callback(self, conn, data):
    if data.event == websocket.EVENT_CONNECTED:
        print("connected", repr(data.message), data.code, data.handshake_response)
    elif data.event == websocket.EVENT_MESSAGE:
        print("message", data.type, data.message)
    elif data.event == websocket.EVENT_ERROR:
        print("error", data.message)
    elif data.event == websocket.EVENT_DISCONNECTED:
        print("disconnected", data.code, "[%s]" % data.message)
"""
OPEN = "connected '' None None"


async def echo(peer):
    """Sends one message back, then closes."""
    await peer.send(await peer.recv())
    await peer.close()


def test_example_is_the_manuals(play, kind):
    async def server(peer):
        assert peer.headers["Origin"] == "mydomain.com"
        assert peer.headers["Sec-WebSocket-Protocol"] == "chat"
        await peer.send(await peer.recv())
        assert await peer.recv() is None
        assert peer.close_code == 1000

    lines = play(server, ROOT / "examples" / "defold_echo.py", kind=kind)
    assert re.match(r"Connected: <Connection object at ", lines[0])
    assert lines[1] == "Receiving: b'Hello from the other side'"
    assert re.match(r"Disconnected: <Connection object at ", lines[2])
    assert len(lines) == 3


# ---- Without a server


def test_constants_are_the_native_ones(alone):
    assert alone("""
        print(websocket.EVENT_CONNECTED, websocket.EVENT_DISCONNECTED, websocket.EVENT_MESSAGE,
              websocket.EVENT_ERROR, websocket.DATA_TYPE_TEXT, websocket.DATA_TYPE_BINARY)
    """) == ["0 1 2 3 1 2"]


def test_wrong_arguments(alone):
    assert alone("""
        def refused(function, *args):
            try:
                function(*args)
            except (TypeError, ValueError) as e:
                print(type(e).__name__, repr(e.args[0]))
        ws = "ws://127.0.0.1:1/"
        refused(websocket.connect, ws, {"headers": "A: b\\r\\n\\r\\nC: d"}, callback)
        refused(websocket.connect, ws, {"headers": "A: b\\nC: d"}, callback)
        refused(websocket.connect, ws, {"headers": "A"}, callback)
        refused(websocket.connect, ws, {"headers": {"A b": "c"}}, callback)
        refused(websocket.connect, ws, {"protocol": "a\\r\\nb"}, callback)
        refused(websocket.connect, "no url", None, callback)
        for args in ((7, None, callback), (ws, 7, callback), (ws, None, None),
                     (ws, {"timeout": "x"}, callback), (ws, {"typo": 1}, callback)):
            try:
                websocket.connect(*args)
            except (TypeError, ValueError, AttributeError):
                print("refused")
        for handle in (None, 7, {}):
            refused(websocket.disconnect, handle)
            refused(websocket.send, handle, "x")
    """) == [
        r'''ValueError "The header field must not contain double '\\r\\n\\r\\n': '''
        r"'A: b\r\n\r\nC: d'" '"',
        r'''ValueError "header value 'b\\nC: d'"''', '''ValueError "header 'A'"''',
        '''ValueError "header name 'A b'"''', r'''ValueError "header value 'a\\r\\nb'"''',
        "URLError 'scheme'",
        *["refused"] * 5,
        *["TypeError 'The first argument must be a valid connection!'"] * 6,
    ]


def test_nobody_listens(alone, target):
    lines = alone(f"""
        websocket.connect("ws://{target.host}:1/", None, callback)
        print("returned")
    """)
    assert lines[0] == "returned"
    assert re.match(r"error Failed to open connection: \d+$", lines[1])
    assert re.match(r"disconnected 1006 \[.+\]$", lines[2])
    assert len(lines) == 3


# ---- Functions


def test_echo(api, kind):
    script = """
        def echo(self, conn, data):
            callback(self, conn, data)
            if data.event == websocket.EVENT_CONNECTED:
                websocket.send(conn, b"\\0\\xff")
        websocket.connect(url, None, echo)
    """
    assert api(echo, script, kind=kind) == [
        OPEN, "message 2 b'\\x00\\xff'", "disconnected 1000 []"]


def test_messages_are_binary_unless_asked(api, play):
    script = """
        def send(self, conn, data):
            callback(self, conn, data)
            if data.event == websocket.EVENT_CONNECTED:
                print(websocket.send(conn, "a", None))
                mine = bytearray(b"b")
                websocket.send(conn, mine, {})
                mine[0] = 0
                websocket.send(conn, b"c", {"type": websocket.DATA_TYPE_TEXT})
                websocket.send(conn, "d", {"type": websocket.DATA_TYPE_BINARY})
                for message, kind in ((b"\\xff", 1), ("x", 0), ("x", 9)):
                    try:
                        websocket.send(conn, message, {"type": kind})
                    except ValueError:
                        print("refused")
                print(websocket.disconnect(conn))
        websocket.connect(url, {}, send)
    """
    assert api(wait, script) == [
        OPEN, "None", *["refused"] * 3, "None", "disconnected 1000 []"]
    assert play.server.result() == [(BINARY, b"a"), (BINARY, b"b"), (TEXT, b"c"), (BINARY, b"d"),
                                    (CLOSE, close_payload(1000))]


def test_handle_and_order_of_events(api):
    # Nothing is called before connect() returns; the handle is its own; data is both ways.
    script = """
        handles = []
        def check(self, conn, data):
            print(conn is handles[0], conn == handles[0], bool(str(conn)), self,
                  data.event, data["event"], data["message"], data["code"], data.more)
        params = {"context": "me"}
        handles.append(websocket.connect(url, params, check))
        print("returned", params)
    """
    assert api(close, script) == [
        "returned {'context': 'me'}", "True True True me 0 0  None None",
        "True True True me 1 1  1000 None"]


def test_callback_may_take_fewer_arguments(api):
    script = """
        from modwebsocket import run
        for function in (lambda: print("called"), lambda self: print(self),
                         lambda self, conn: print(conn is handle), lambda *args: print(len(args))):
            handle = websocket.connect(url, None, function)
            run()
    """
    assert api(close, script) == [
        "called", "called", "None", "None", "True", "True", "3", "3"]


def test_headers_and_protocol(api, play):
    async def server(wire):
        await wire.request()
        extra = {"Sec_WebSocket_Protocol": "chat"} if b"chat" in wire.head else {}
        await wire.send(wire.answer(Connection="keep-alive, Upgrade", **extra)
                        + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()
        return wire.head.decode()

    script = """
        left = [
            {},
            {"headers": "A: b\\r\\nC:  d e "},
            {"headers": "Sec-WebSocket-Protocol: chat\\r\\nOrigin: mydomain.com\\r\\n"},
            {"headers": {"A": "b", "Upgrade": "no"}, "protocol": "chat, other"},
        ]
        def next(self, conn, data):
            if data.event == websocket.EVENT_ERROR:
                print(data.message)
            if data.event == websocket.EVENT_DISCONNECTED and left:
                websocket.connect(url.replace("ws", "anything", 1), left.pop(0), next)
        websocket.connect(url[:-1], None, next)
    """
    assert api(server, script) == []
    heads = [play.server.result(i) for i in range(5)]
    port = play.server.port
    for head in heads:
        lines = head.split("\r\n")
        assert lines[0] == "GET / HTTP/1.1"
        assert re.match(rf"Host: [\d.]+:{port}$", lines[1])
        for line in ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"):
            assert line in lines
    names = [[line.split(": ")[0] for line in head.split("\r\n")[6:-2]] for head in heads]
    assert names == [[], [], ["A", "C"], ["Sec-WebSocket-Protocol", "Origin"],
                     ["A", "Sec-WebSocket-Protocol"]]
    assert "\r\nC: d e\r\n" in heads[2]
    assert "\r\nSec-WebSocket-Protocol: chat, other\r\n" in heads[4]


def test_timeout_is_for_all_of_connecting(api):
    async def server(wire):
        await wire.request()
        await wire.ended()

    script = """
        import time
        def times(self, conn, data):
            if data.event == websocket.EVENT_ERROR:
                print(data.message)
            else:
                took = time.ticks_diff(time.ticks_ms(), began_at)
                print(data.event, data.code, "%d s" % (took // 1000), took >= self)
        began_at = time.ticks_ms()
        websocket.connect(url, {"timeout": 300.0, "context": 300}, times)
        websocket.connect(url, {"context": 3000}, times)
    """
    lines = api(server, script, timeout_s=20)
    assert lines[::2] == ["Connect sequence timed out"] * 2
    assert re.match(r"1 1006 [012] s True$", lines[1])
    assert re.match(r"1 1006 [3456] s True$", lines[3])


def test_send_when_not_connected(api, play):
    script = """
        def try_to_send(conn):
            try:
                websocket.send(conn, "x")
            except OSError as e:
                print(e.errno, e.args[1])
        def send(self, conn, data):
            if data.event == websocket.EVENT_CONNECTED:
                websocket.disconnect(conn)
                try_to_send(conn)
            else:
                print("disconnected", data.code)
                try_to_send(conn)
                websocket.disconnect(conn)
                websocket.disconnect(conn)
        conn = websocket.connect(url, None, send)
        try_to_send(conn)
    """
    assert api(wait, script) == [
        "107 Connection isn't connected", "107 Connection isn't connected",
        "disconnected 1000", "107 Invalid connection"]
    assert play.server.result() == [(CLOSE, close_payload(1000))]


def test_disconnect_waits_for_the_answer(api, kind):
    async def server(peer):
        assert await peer.recv() == "last"
        assert await peer.recv() is None
        assert peer.close_code == 1000

    script = """
        def leave(self, conn, data):
            callback(self, conn, data)
            if data.event == websocket.EVENT_CONNECTED:
                websocket.send(conn, "last", {"type": websocket.DATA_TYPE_TEXT})
                websocket.disconnect(conn)
                websocket.disconnect(conn)
        websocket.connect(url, None, leave)
    """
    assert api(server, script, kind=kind) == [OPEN, "disconnected 1000 []"]


def test_disconnect_cancels_an_attempt(alone, target):
    assert alone(f"""
        conn = websocket.connect("ws://{target.host}:1/", None, callback)
        websocket.disconnect(conn)
        print("returned")
    """) == ["returned", "disconnected 1000 []"]


def test_disconnect_while_it_dials_gives_up(black_hole, target):
    result = target.run(PRELUDE + textwrap.dedent("""
        from modwebsocket import pump, step
        conn = websocket.connect(url, {"timeout": 30000}, callback)
        while pump._links[0].stage != "tcp":
            step(10)
        step(50)
        websocket.disconnect(conn)
    """), black_hole)
    assert (result.lines, result.status) == (["disconnected 1000 []"], 0), result


def test_reconnect_and_several_at_once(api):
    script = """
        count = 0
        def again(self, conn, data):
            global count
            if data.event == websocket.EVENT_DISCONNECTED:
                print(self, data.code)
                count += 1
                if count <= 2:
                    websocket.connect(url, {"context": "again"}, again)
        websocket.connect(url, {"context": "a"}, again)
        websocket.connect(url, {"context": "b"}, again)
    """
    assert sorted(api(close, script)) == ["a 1000", "again 1000", "again 1000", "b 1000"]


# ---- Ends


LISTEN = "websocket.connect(url, None, callback)"


@pytest.mark.parametrize("code", [1000, 1013, 4002])
def test_server_close_tells_code_and_reason(api, kind, code):
    async def server(peer):
        await peer.close(code, "weil …")
        assert peer.close_code == code

    assert api(server, LISTEN, kind=kind) == [OPEN, f"disconnected {code} [weil …]"]


def test_server_close_without_code_is_1005(api):
    async def server(wire):
        await wire.open(frame(FIN | CLOSE))
        await wire.rest()

    assert api(server, LISTEN) == [OPEN, "disconnected 1005 []"]


def test_messages_before_close_frame_come_and_none_behind_it(api):
    async def server(wire):
        await wire.open(
            frame(TEXT, "a") + frame(FIN, "b") + frame(FIN | BINARY, b"c") + frame(FIN | TEXT)
            + frame(FIN | TEXT, "d" * 2000)
            + frame(FIN | CLOSE, close_payload(1001)) + frame(FIN | TEXT, "late"))
        await wire.rest()

    assert api(server, LISTEN) == [
        OPEN, "message 1 ab", "message 2 b'c'", "message 1 ", "message 1 " + "d" * 2000,
        "disconnected 1001 []"]


def test_lost_connection_is_an_error_then_the_end(api, kind):
    async def server(peer):
        await peer.drop()

    lines = api(server, LISTEN, kind=kind)
    assert lines[0] == OPEN
    assert re.match(r"error Websocket closing for [\d.]+:\d+ \(WSLAY_ERR_CALLBACK_FAILURE\)$",
                    lines[1])
    assert re.match(r"disconnected 1006 \[.+\]$", lines[2])
    assert len(lines) == 3


@pytest.mark.parametrize(("sent", "name", "code"), [
    (frame(FIN | 3), "PROTO", 1002),
    (frame(FIN | TEXT, b"\xff"), "PROTO", 1007),
    (frame(FIN | TEXT, b"x" * 101), "NOMEM", 1009),
])
def test_what_the_server_does_wrong_is_an_error_then_the_end(api, sent, name, code):
    async def server(wire):
        await wire.open(sent)
        assert await wire.frame() == (CLOSE, close_payload(code))
        await wire.close()

    script = """
        websocket.connect(url.replace("//", "//u:p@"), {"max_message_len": 100}, callback)
    """
    lines = api(server, script)
    assert re.match(rf"error Websocket closing for [\d.]+:\d+ \(WSLAY_ERR_{name}\)$", lines[1])
    assert re.match(r"disconnected 1006 \[.+\]$", lines[2])
    assert len(lines) == 3


@pytest.mark.parametrize("status", [403, 503])
def test_refusal_can_be_read(api, kind, status):
    def refuse(path):
        return status, {"X-Path": path}, "not\nyou"

    script = """
        def refused(self, conn, data):
            callback(self, conn, data)
            answer = data.handshake_response
            if answer:
                print(answer.status, answer["headers"]["x-path"], repr(answer.response))
        websocket.connect(url + "a?b", None, refused)
    """
    assert api(None, script, kind=kind, server={"refuse": refuse}) == [
        f"error Wrong response status: {status}", f"{status} /a?b 'not\\nyou'",
        f"disconnected 1006 [HTTP {status}]"]


def test_late_body_and_repeated_headers_of_a_refusal(api):
    async def server(wire):
        await wire.request()
        await wire.send(b"HTTP/1.1 503 No\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(0.05)
        await wire.send(b"laterand more")
        await wire.close()

    script = """
        def refused(self, conn, data):
            answer = data.handshake_response
            print(data.code, answer and (answer.status, answer.headers["x-a"], answer.response))
        websocket.connect(url, None, refused)
    """
    assert api(server, script) == ["None (503, '1, 2', 'later')", "1006 None"]


def test_answers_that_open_nothing(api, play):
    async def server(wire):
        await wire.request()
        await wire.send([
            wire.answer(Sec_WebSocket_Accept="wrong"),
            wire.answer(Upgrade=None),
            wire.answer(Sec_WebSocket_Protocol="unasked"),
            wire.answer(Sec_WebSocket_Extensions="unasked"),
            b"SSH-2.0\r\n\r\n",
            wire.answer(**{f"X-{i}": "x" * 1000 for i in range(9)}),
            b"",
        ][play.server.count - 1])
        await wire.close()

    script = """
        left = 6
        def next(self, conn, data):
            global left
            if data.event == websocket.EVENT_ERROR:
                answer = data.handshake_response
                print(repr(data.message), answer and answer.status)
            elif left:
                left -= 1
                websocket.connect(url, None, next)
        websocket.connect(url, None, next)
    """
    lines = api(server, script)
    assert lines == [
        "'Failed verifying handshake headers:\\nSec-WebSocket-Accept: wrong' 101",
        "'Failed verifying handshake headers:\\nUpgrade: ' 101",
        "'Failed verifying handshake headers:\\nSec-WebSocket-Protocol: unasked' 101",
        "'Failed verifying handshake headers:\\nSec-WebSocket-Extensions: unasked' 101",
        "\"Failed to parse handshake response. 'not HTTP'\" None",
        "'Receive buffer full: 8192 bytes' 101",
        "'Receive error: eof' None",
    ]


def test_error_of_the_callback_keeps_nothing_back(api, play):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "x"))
        assert await wire.frame() == (TEXT, b"got it")
        await wire.drop()

    script = """
        def fail(self, conn, data):
            print(data.event)
            if data.event == websocket.EVENT_MESSAGE:
                websocket.send(conn, "got it", {"type": websocket.DATA_TYPE_TEXT})
            raise ValueError
        websocket.connect(url, None, fail)
    """
    assert api(server, script, errors=True) == ["0", "2", "3", "1"]
    assert play.result.errors.count("ValueError") == 4


# ---- Protocol


def test_pings_are_answered_and_none_is_sent(api):
    async def server(wire):
        await wire.open(frame(FIN | PING, "still there?"))
        assert await wire.frame() == (PONG, b"still there?")
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    assert api(server, LISTEN) == [OPEN, "disconnected 1000 []"]


def test_https_is_wss_and_trusts_anybody_unless_told(serve, unix, certificates):
    server = serve(echo, "websockets", tls=certificates.server())
    script = PRELUDE + textwrap.dedent("""
        def echo(self, conn, data):
            callback(self, conn, data)
            if data.event == websocket.EVENT_CONNECTED:
                websocket.send(conn, "x", {"type": 1})
        websocket.connect(url.replace("wss", "HTTPS"), {}, echo)
    """)
    result = unix.run(script, server.url)
    assert result.lines == [OPEN, "message 1 x", "disconnected 1000 []"]
