"""What the APIs of lua_compat share: names, TLS, the request's Host, full queues, silence."""

import asyncio
import textwrap

import pytest
from peer.conftest import SET_CLOCK
from peer.servers import BINARY, CLOSE, PING, close_payload, wait

# `visit(where, **trust)` connects, waits for a message, closes, and prints what it was told. It is
# more patient than the APIs are: where processors are shared, the emulated board's TLS takes long.
DEFOLD = """
from lua_compat import defold
from modwebsocket import run

def visit(where, **params):
    def callback(self, conn, data):
        print("connected disconnected message error".split()[data.event], data.message)
        if data.event == defold.EVENT_MESSAGE:
            told()
            defold.disconnect(conn)
    params["timeout"] = 60000
    defold.connect(where, params, callback)
    run()
"""

QSYS = """
from lua_compat import qsys
from lua_compat.qsys import WebSocket
from modwebsocket import Link, run

qsys.Link = lambda *args, **options: Link(*args, connect_timeout_ms=60000, **options)

def visit(where, cadata=None):
    def data(ws, data):
        print("Data", data)
        told()
        ws.Close()
    ws = WebSocket.New()
    ws.CaData = cadata
    ws.Connected = lambda: print("Connected")
    ws.Data = data
    ws.Error = lambda ws, err: print("Error", err)
    ws.Closed = lambda: print("Closed")
    scheme, _, host, path = where.split("/", 3)
    host, port = (host + ":80").split(":")[:2]
    ws.Connect(scheme[:-1], host, path, port)
    run()
"""

LUA_HTTP = """
from lua_compat import lua_http

def visit(where, **options):
    if "cadata" not in options:
        options["verify"] = False
    ws = lua_http.new_from_uri(where, **options)
    print(ws.connect(60))
    if ws.readyState:
        print(ws.receive(30))
        told()
        print(ws.close(timeout=30))
"""

VISITS = {"defold": DEFOLD, "qsys": QSYS, "lua_http": LUA_HTTP}
START = """
import sys

def told():
    pass
"""


@pytest.fixture(params=VISITS)
def api(request):
    """Its name."""
    return request.param


async def greet(peer):
    """Says hello, and waits for the client to close."""
    await peer.send("hello")
    assert await peer.recv() is None
    assert peer.close_code == 1000


GREETED = {
    "defold": ["connected ", "message hello", "disconnected "],
    "qsys": ["Connected", "Data hello", "Closed"],
    "lua_http": ["(True, None, None)", "('hello', 'text', None)", "True"],
}

NO_NAME = {
    "defold": ["error Failed to open connection: -2", "disconnected dns"],
    "qsys": ["Error DNS: error -2"],
    "lua_http": ["(None, 'connect: dns', -2)"],
}


@pytest.mark.not_on("lx106", "in test_dns.py, with a name server of its own")
def test_name_that_nobody_knows(target, api):
    result = target.run(START + VISITS[api] + "visit('ws://nosuchhost.invalid/')", timeout_s=30)
    assert (result.status, result.errors, result.lines) == (0, "", NO_NAME[api])


UNSIGNED = "The certificate is not correctly signed by the trusted CA"
STRANGE = {
    "defold": [f"error Failed to open connection: {UNSIGNED}", f"disconnected {UNSIGNED}"],
    "qsys": [f"Error TLS: {UNSIGNED}"],
    "lua_http": [f"(None, 'connect: {UNSIGNED}', -9984)"],
}


def test_wss(serve, target, certificates, api):
    server = serve(greet, "websockets", tls=certificates.server(), wait_s=50)
    stranger = serve(greet, "websockets", tls=certificates.server("stranger"), wait_s=50)
    result = target.run(SET_CLOCK + START + VISITS[api] + textwrap.dedent("""
        visit(sys.argv[1], cadata=sys.argv[3])
        visit(sys.argv[2], cadata=sys.argv[3])
    """), server.url, stranger.url, certificates.pem, timeout_s=50)
    server.served(result)
    assert (result.status, result.errors) == (0, ""), result
    assert result.lines == GREETED[api] + STRANGE[api]
    assert stranger.count == 0


def test_host_names_the_port_unless_it_is_the_schemes_own(serve, unix, certificates, api):
    async def server(wire):
        await wire.request()
        await wire.send(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        await wire.ended()
        return wire.header("Host")

    plain = serve(server)
    secure = serve(server, tls=certificates.server())
    result = unix.run(START + VISITS[api] + textwrap.dedent("""
        import modwebsocket, socket
        class Names:
            SOCK_STREAM = socket.SOCK_STREAM
            socket = socket.socket
            def getaddrinfo(self, host, port, *more):
                return socket.getaddrinfo("127.0.0.1", there, *more)
        sys.modules["modwebsocket.link"].socket = Names()
        for scheme, there in (("ws", sys.argv[1]), ("wss", sys.argv[2])):
            there = int(there)
            for port in (80, 443):
                visit("%s://h.example:%d/" % (scheme, port))
    """), plain.port, secure.port)
    assert (result.status, result.errors) == (0, ""), result
    assert [s.result(i) for s in (plain, secure) for i in (0, 1)] == [
        "h.example", "h.example:443", "h.example:80", "h.example"]


def test_no_pings_are_sent_unasked(serve, unix, api):
    server = serve(greet, "websockets")
    result = unix.run(START + VISITS[api] + textwrap.dedent("""
        from modwebsocket import pump
        def told():
            print("every", pump._links[0]._ping_interval_ms)
        visit(sys.argv[1])
    """), server.url)
    server.served(result)
    assert (result.status, result.errors) == (0, ""), result
    assert "every 0" in result.lines


FULL = {
    "defold": """
        from lua_compat import defold
        def fill(self, conn, data):
            if data.event == defold.EVENT_CONNECTED:
                try:
                    while True:
                        defold.send(conn, b"x" * 10000)
                except OSError as e:
                    print("full", e.errno)
                defold.disconnect(conn)
        defold.connect(sys.argv[1], None, fill)
    """,
    "qsys": """
        from lua_compat.qsys import WebSocket
        def fill(ws):
            try:
                while True:
                    ws.Write(b"x" * 10000, True)
            except OSError as e:
                print("full", e.errno)
            ws.Ping()
            ws.Close()
        ws = WebSocket.New()
        ws.Connected = fill
        ws.Connect("ws", "127.0.0.1", "/", sys.argv[1].split(":")[2][:-1])
    """,
}


@pytest.mark.parametrize("api", FULL)
def test_full_queue_takes_nothing_more_and_loses_nothing(serve, unix, loop, api):
    full = asyncio.Event()

    server = serve(lambda wire: wait(wire, full))
    process = unix.start(START + textwrap.dedent(FULL[api]), server.url, heap="8M")
    process.until("full 105")
    loop.loop.call_soon_threadsafe(full.set)
    result = process.result()
    server.served(result)
    assert (result.status, result.errors, result.lines) == (0, "", [])
    *frames, last = server.result()
    assert last == (CLOSE, close_payload(1000))
    assert set(frames) - {(PING, b"")} == {(BINARY, b"x" * 10000)}
