"""Q-SYS's WebSocket: each function, handler, default, text and use of its contract."""

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
from lua_compat.qsys import WebSocket

if len(sys.argv) > 1:
    host, port = sys.argv[1].split("/")[2].split(":")

def new():
    ws = WebSocket.New()
    ws.Connected = lambda ws: print("Connected")
    ws.Data = lambda ws, data: print("Data", data)
    ws.Error = lambda ws, err: print("Error", err)
    ws.Closed = lambda ws: print("Closed", ws.CloseCode, "[%s]" % ws.CloseReason)
    ws.Pong = lambda ws: print("Pong")
    return ws
"""
CLOSED = "Closed 1000 []"
LISTEN = """
    ws = new()
    ws.Connect("ws", host, "/", port)
"""


def test_example_is_the_manuals(serve, target, kind, loop):
    ponged = asyncio.Event()

    async def server(peer):
        assert peer.path == "/qrc"
        assert await peer.recv() == "Hey!"
        reading = asyncio.create_task(peer.recv())  # else aiohttp sees no ping
        await ponged.wait()
        await peer.send("Hi!")
        await peer.close()
        assert await reading is None

    server = serve(server, kind)
    process = target.start(ROOT / "examples" / "qsys_ping.py", target.host, server.port)
    process.until("Connected")
    process.until("Pong")
    loop.loop.call_soon_threadsafe(ponged.set)
    result = process.result()
    server.served(result)
    assert (result.lines, result.errors, result.status) == (["Data Hi!", "closed"], "", 0)


# ---- Without a server


def test_idle_object(alone):
    assert alone("""
        ws = WebSocket.New()
        print(ws, ws.Connected, ws.Data, ws.Error, ws.Closed, ws.Pong, ws.IsConnected)
        ws.Close()
        ws.Ping()
        try:
            ws.Write("x")
        except OSError as e:
            print(e.errno)
    """) == ["websocket None None None None None False", "107"]


def test_wrong_arguments(alone):
    assert alone("""
        for args in (("http", "h", "/", 80), ("ws", "h/evil", "/", 80), ("ws", "u@h", "/", 80),
                     ("ws", "", "/", 80), ("ws", "h", "/", "x"), ("ws", "h", "/", ""),
                     ("ws", "h", "/", 65536), ("ws", "h", "/a b", 80),
                     ("ws", "h", "/", 80, "a\\r\\nb"), ("ws", "h", "/", 80, None, {"A": "b\\nc"})):
            try:
                new().Connect(*args)
                print(args)
            except ValueError:
                pass
    """) == []


def test_failure_before_open_is_one_error(alone, target):
    lines = alone(f"""
        ws = new()
        ws.Connect("ws", "{target.host}", "/", 1)
        try:
            ws.Write("x")
        except OSError as e:
            print("returned", ws.IsConnected, e.errno)
        ws.Ping()
    """)
    assert lines[0] == "returned False 107"
    assert re.match(r"Error TCP: error \d+$", lines[1])
    assert len(lines) == 2


# ---- Methods


def test_write_is_text_unless_binary(api, kind):
    async def server(peer):
        received = [await peer.recv() for _ in range(4)]
        assert received == ["a…", "b", b"c", b"\xff"]
        await peer.send("d…")
        await peer.send(b"e")
        assert await peer.recv() is None
        assert peer.close_code == 1000

    script = """
        ws = new()
        def write(ws):
            print(ws.IsConnected)
            print(ws.Write("a…"))
            ws.Write(b"b", False)
            ws.Write("c", True)
            ws.Write(b"\\xff", is_binary=True)
            try:
                ws.Write(b"\\xff")
            except ValueError:
                print("refused")
        def data(ws, data):
            print(data)
            if repr(data) == "b'e'":
                ws.Close()
                ws.Close()
                ws.Ping()
                print(ws.IsConnected)
                try:
                    ws.Write("x")
                except OSError as e:
                    print(e.errno)
        ws.Connected = write
        ws.Data = data
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script, kind=kind) == [
        "True", "None", "refused", "d…", "b'e'", "False", "107", CLOSED]


def test_request(api, play):
    script = """
        ws = new()
        left = [
            ("ws", host, "", port),
            ("ws", host, "api?name=a%20b", int(port), None, {"Authorization": "Bearer x",
             "Upgrade": "no", "Connection": "no", "Sec-WebSocket-Version": "7"}),
            ("ws", host, "/qrc", port, "chat", {}),
        ]
        def next():
            if left:
                ws.Connect(*left.pop(0))
        ws.Connected = ws.Error = None
        ws.Closed = next
        next()
    """
    assert api(close, script) == []
    heads = [play.server.result(i) for i in range(3)]
    firsts = [head.split("\r\n")[0] for head in heads]
    assert firsts == [f"GET {path} HTTP/1.1" for path in ("/", "/api?name=a%20b", "/qrc")]
    for head in heads:
        lines = head.split("\r\n")
        assert re.match(rf"Host: [\d.]+:{play.server.port}$", lines[1])
        for line in ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"):
            assert line in lines
    more = [head.split("\r\n")[6:-2] for head in heads]
    assert more == [[], ["Authorization: Bearer x"], ["Sec-WebSocket-Protocol: chat"]]


def test_pings(api):
    async def server(wire):
        await wire.open(frame(FIN | PING, "you?"))
        assert await wire.frame() == (PING, b"")
        assert await wire.frame() == (PONG, b"you?")
        await wire.send(frame(FIN | PONG))
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    script = """
        ws = new()
        ws.Connected = lambda ws: ws.Ping()
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script) == ["Pong", CLOSED]


# ---- Handlers


def test_handlers_may_take_fewer_arguments_and_be_set_at_any_time(api):
    async def server(wire):
        await wire.open(b"".join(frame(FIN | TEXT, text) for text in "abcd")
                        + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        ws = WebSocket()
        def second(ws, data):
            print("second", data)
            ws.Data = third
        def third(ws):
            print("third")
            ws.Data = None
        def first():
            print("first")
            ws.Data = second
        ws.Connect("ws", host, "/", port)
        ws.Connected = lambda: print("Connected")
        ws.Data = first
        ws.Closed = lambda: print("Closed")
    """
    assert api(server, script) == ["Connected", "first", "second b", "third", "Closed"]


def test_each_handler_may_take_fewer_arguments(api):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "x") + frame(FIN | PONG) + frame(FIN | 3))
        assert await wire.frame() == (CLOSE, close_payload(1002))
        await wire.close()

    script = """
        from modwebsocket import run
        NAMES = "Connected", "Data", "Pong", "Error", "Closed"
        for make in (lambda name: lambda: print(name),
                     lambda name: lambda mine: print(name, mine is ws),
                     lambda name: lambda *args: print(name, len(args), args[0] is ws)):
            ws = WebSocket.New()
            for name in NAMES:
                setattr(ws, name, make(name))
            ws.Connect("ws", host, "/", port)
            run()
    """
    names = ["Connected", "Data", "Pong", "Error", "Closed"]
    assert api(server, script) == [
        *names, *(f"{name} True" for name in names),
        *(f"{name} {count} True" for name, count in zip(names, (1, 2, 1, 2, 1), strict=True))]


def test_no_handler_at_all(api):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "x") + frame(FIN | PONG))
        await wire.drop()

    assert api(server, """
        WebSocket.New().Connect("ws", host, "/", port)
    """) == []


def test_error_of_a_handler_keeps_nothing_back(api, play):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "x"))
        assert await wire.frame() == (TEXT, b"got it")
        await wire.drop()

    script = """
        ws = WebSocket()
        def fail(name):
            def failing():
                print(name)
                if name == "Data":
                    ws.Write("got it")
                raise ValueError
            return failing
        ws.Connected = fail("Connected")
        ws.Data = fail("Data")
        ws.Error = fail("Error")
        ws.Closed = fail("Closed")
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script, errors=True) == ["Connected", "Data", "Error", "Closed"]
    assert play.result.errors.count("ValueError") == 4


def test_object_lives_while_it_is_open(api):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"collected")
        await wire.send(frame(FIN | TEXT, "still here") + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        import gc
        def start():
            ws = new()
            def connected(ws):
                gc.collect()
                ws.Write("collected")
            ws.Connected = connected
            ws.Connect("ws", host, "/", port)
        start()
        gc.collect()
    """
    assert api(server, script) == ["Data still here", CLOSED]


def test_messages_are_whole(api):
    async def server(wire):
        await wire.open(frame(TEXT, "a" * 3000) + frame(FIN, "b") + frame(FIN | BINARY, b"c")
                        + frame(FIN | TEXT) + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        ws = new()
        ws.Data = lambda ws, data: print(len(data), data[-1:])
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script) == ["Connected", "3001 b", "1 b'c'", "0 ", CLOSED]


def test_chunks_if_asked_for(api, target):
    length = target.fits(16384, 1000)

    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "…" * length + "x"))
        await wire.send(frame(FIN | BINARY, b"y" * (2 * length)) + frame(FIN | TEXT))
        await wire.send(frame(FIN | TEXT, "z" * (length + 1)))
        # The chunk that is left is not told behind Close().
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.close()

    script = """
        ws = new()
        ws.ChunkLen = int(sys.argv[2])
        def data(ws, data):
            print(type(data).__name__, len(data))
            if str(data)[:1] == "z":
                ws.Close()
        ws.Data = data
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script, length) == [
        "Connected", f"str {length}", "str 1", f"bytes {length}", f"bytes {length}", "str 0",
        f"str {length}", "Closed 1006 []"]


# ---- Ends


@pytest.mark.parametrize("code", [1000, 1001, 4002])
def test_server_close_is_closed_alone(api, kind, code):
    async def server(peer):
        await peer.close(code, "weil …")
        assert peer.close_code == code

    assert api(server, LISTEN, kind=kind) == ["Connected", f"Closed {code} [weil …]"]


def test_close_gives_up_an_attempt(alone, target):
    assert alone(f"""
        ws = new()
        ws.Connect("ws", "{target.host}", "/", 1)
        ws.Close()
    """) == ["Closed 1006 []"]


def test_drop_is_error_then_closed(api, kind):
    async def server(peer):
        await peer.drop()

    lines = api(server, LISTEN, kind=kind)
    assert lines[0] == "Connected"
    assert re.match(r"Error TCP: (error \d+|eof)$", lines[1])
    assert lines[2:] == ["Closed 1006 []"]


@pytest.mark.parametrize(("sent", "text", "code"), [
    (frame(FIN | 3), "protocol", 1002),
    (frame(FIN | TEXT, b"\xff"), "text", 1007),
])
def test_what_the_server_does_wrong_is_error_then_closed(api, sent, text, code):
    async def server(wire):
        await wire.open(sent)
        assert await wire.frame() == (CLOSE, close_payload(code))
        await wire.close()

    assert api(server, LISTEN) == ["Connected", f"Error protocol: {text}", "Closed 1006 []"]


def test_refusal_is_one_error(api, kind):
    assert api(None, LISTEN, kind=kind, server={"refuse": 403}) == ["Error HTTP 403"]


def test_answers_that_open_nothing(api, play):
    async def server(wire):
        await wire.request()
        answers = [wire.answer(Upgrade=None), b"SSH-2.0\r\n\r\n", b""]
        await wire.send(answers[play.server.count - 1])
        await wire.close()

    script = """
        ws = new()
        left = 3
        def error(_, err):
            global left
            left -= 1
            print(err)
            if left:
                # A fresh object for each attempt does, too.
                ws = WebSocket.New()
                ws.Error = error
                ws.Connect("ws", host, "/", port)
        ws.Error = error
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script) == ["HTTP: Upgrade", "HTTP: not HTTP", "HTTP: eof"]


def test_ten_seconds_to_connect(api):
    async def server(wire):
        await wire.ended()

    script = """
        from lua_compat import qsys
        from modwebsocket import pump
        WebSocket.New().Connect("ws", host, "/", port)
        link = pump._links[0]
        print(5000 < link._left_ms() <= 10000)
        link.close()
        Link = qsys.Link
        qsys.Link = lambda *args, **options: Link(*args, connect_timeout_ms=300, **options)
        ws = new()
        ws.Connect("ws", host, "/", port)
    """
    within, error = api(server, script)
    assert (within, error.split()[-1]) == ("True", "timeout")


# ---- Again


def test_connect_in_closed_and_error(api):
    async def server(wire):
        if server.count % 2:
            await wire.request()
            server.count += 1
            return await wire.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        server.count += 1
        await wire.open(frame(FIN | CLOSE, close_payload(1000)))
        return await wire.rest()

    server.count = 0
    script = """
        ws = new()
        left = 3
        def again(name):
            def handler(ws):
                global left
                print(name)
                if left:
                    left -= 1
                    ws.Connect("ws", host, "/", port)
            return handler
        ws.Closed = again("Closed")
        ws.Error = again("Error")
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script) == ["Connected", "Closed", "Error"] * 2


def test_connect_in_error_of_an_open_connection_is_no_closed(api, play):
    async def server(wire):
        if play.server.count == 1:
            await wire.open(frame(FIN | 3))
            assert (await wire.frame())[0] == CLOSE
            await wire.close()
        else:
            await close(wire)

    script = """
        ws = new()
        def error(ws, err):
            print(err)
            ws.Connect("ws", host, "/", port)
        ws.Error = error
        ws.Connect("ws", host, "/", port)
    """
    assert api(server, script) == ["Connected", "protocol: protocol", "Connected", CLOSED]


def test_connect_behind_close_replaces_the_connection(api, play):
    script = """
        ws = new()
        count = 0
        def connected(ws):
            global count
            count += 1
            print("Connected", count)
            if count == 1:
                ws.Close()
            if count <= 2:
                ws.Connect("ws", host, "/", port)
            else:
                ws.Write("last")
                ws.Close()
        ws.Connected = connected
        ws.Connect("ws", host, "/", port)
    """
    lines = api(wait, script)
    assert lines == ["Connected 1", "Connected 2", "Connected 3", CLOSED]
    ends = [play.server.result(i)[-1] for i in range(3)]
    assert ends == [(CLOSE, close_payload(1000))] * 3


@pytest.mark.parametrize("trust", ["", "Pin"])
def test_wss_trusts_anybody_unless_told(serve, unix, certificates, trust):
    async def server(peer):
        await peer.send("hello")
        await peer.close()

    server = serve(server, "websockets", tls=certificates.server())
    script = PRELUDE + textwrap.dedent("""
        ws = new()
        if sys.argv[2]:
            ws.Pin = b"x" * 32
        ws.Connect("wss", host, "/", port)
    """)
    result = unix.run(script, server.url, trust)
    if trust == "Pin":
        assert result.lines[0].startswith("Error TLS: pin: the server's is ")
        assert len(result.lines) == 1
    else:
        assert result.lines == ["Connected", "Data hello", CLOSED]
