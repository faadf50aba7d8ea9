"""What the peer tests share: servers that end with their test, and scripts that tell events."""

import socket
import textwrap
import time
from contextlib import ExitStack

import lx106
import pytest
from peer.certificates import Certificates
from peer.proxy import Proxy
from peer.servers import KINDS, Loop, free_port
from peer.styles import BOTH, STYLES, URL, in_style

# For scripts that look at certificates: the emulated board starts in 2000, as a chip does.
SET_CLOCK = """
try:
    from machine import RTC
    RTC().datetime(%r)
except ImportError:
    RTC = None
""" % ((*time.gmtime()[:3], 0, *time.gmtime()[3:6], 0),)

# Stands before the scripts of the tests: `client()` makes a client that prints its events.
PRELUDE = """
import sys
import websocket

url = sys.argv[1] if len(sys.argv) > 1 else None

def client(**config):
    ws = websocket.createClient()
    ws.on("connection", lambda ws: print("open"))
    ws.on("receive", lambda ws, m, opcode: print("receive", opcode, m))
    ws.on("close", lambda ws, status: print("closed", status))
    if config:
        ws.config(config)
    return ws
"""


@pytest.fixture(scope="session")
def loop():
    """The servers' loop."""
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture
def serve(loop):
    """Returns serve(), which starts a Server and returns it; see servers.py."""
    servers = []

    def serve(handler, kind="wire", host="127.0.0.1", port=0, **options):
        server = KINDS[kind](handler, **options)
        loop.run(server.start(host, port))
        servers.append(server)
        return server

    yield serve
    for server in servers:
        loop.run(server.stop())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """The Certificates for wss servers."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def through(loop):
    """Returns through(server, **faults), which starts a Proxy before a server; see proxy.py."""
    proxies = []

    def through(server, **faults):
        proxy = Proxy(server, **faults)
        loop.run(proxy.start())
        proxies.append(proxy)
        return proxy

    yield through
    for proxy in proxies:
        loop.run(proxy.stop())


@pytest.fixture(params=["websockets", "aiohttp"])
def kind(request):
    """The servers that others wrote."""
    return request.param


def too_big(*values):
    """A case of pytest.mark.parametrize() that the board has too little memory for."""
    return pytest.param(*values, marks=pytest.mark.not_on("lx106", "more than its memory"))


def prepare(script):
    """The script, dedented, behind the prelude."""
    return PRELUDE + textwrap.dedent(script)


def check(result, connects=1, errors=False):
    """Holds for every script: the process ends well, with one close event per connect.

    connects: how many there were. errors: whether the script prints tracebacks.
    """
    closed = [line for line in result.lines if line.startswith("closed ")]
    assert len(closed) == connects, f"{len(closed)} close events: {result}"
    assert bool(result.errors) == errors, result
    assert result.status == 0, result


@pytest.fixture
def accesses(tmp_path):
    """Where QEMU reports memory accesses that the chip does not have."""
    return tmp_path / "accesses"


@pytest.fixture
def start_board(accesses):
    """start_board(**options) starts a lx106.Board and returns it."""
    with ExitStack() as boards:

        def start(options=(), **others):
            options = [*lx106.checked(accesses), *options]
            return boards.enter_context(lx106.Board(options=options, **others))

        yield start


@pytest.fixture
def board(start_board):
    """A board at its prompt."""
    board = start_board()
    board.until(b">>> ")
    return board


@pytest.fixture
def run(target):
    """run(script, *args) runs a script that needs no server; returns its lines, as talk()."""

    def run(script, *args, connects=1, errors=False, **options):
        run.result = target.run(prepare(script), *args, **options)
        check(run.result, connects, errors)
        return run.result.lines

    return run


@pytest.fixture
def talk(serve, target):
    """talk(handler, script, *args) runs a script against a server; returns its lines.

    The script has the server's URL in `url`. Its result is checked, see check(). kind: of the
    server. connects, errors: see check(). heap, timeout_s: see Target.start(), Target.run().
    The server is talk.server, its address for the script talk.host, the Result talk.result.
    """

    def talk(handler, script, *args, kind="wire", connects=1, errors=False, **options):
        talk.server = serve(handler, kind)
        talk.host = f"{target.host}:{talk.server.port}"
        talk.result = target.run(prepare(script), talk.server.url, *args, **options)
        talk.server.served(talk.result)
        check(talk.result, connects, errors)
        return talk.result.lines

    return talk


@pytest.fixture(params=["callback", "asyncio", "blocking"])
def style(request):
    """Callbacks, asyncio, waiting; see styles.py."""
    return request.param


@pytest.fixture
def visit(target, style):
    """visit(script, *args) runs a script, in which is visit() of styles.py; returns its lines."""

    def visit(script, *args, **options):
        text = STYLES[style] + URL + textwrap.dedent(script)
        result = target.run(text, *args, **options)
        assert (result.status, result.errors) == (0, ""), result
        return result.lines

    return visit


@pytest.fixture
def black_hole():
    """A port of this machine where TCP's handshake never ends: its backlog is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
    for s in [*fillers, listener]:
        s.close()


@pytest.fixture(params=BOTH)
def wait(request, target):
    """wait(script, *args) runs a script that waits, in both styles; see in_style()."""

    def wait(script, *args, **options):
        text = in_style(request.param, textwrap.dedent(script))
        result = target.run(text, *args, **options)
        assert (result.status, result.errors) == (0, ""), result
        return result.lines

    return wait


@pytest.fixture
def play(serve, target):
    """play(handler, script, *args) runs a whole script against a server; returns its lines.

    The script's first argument is the server's URL. kind: of the server, with the options
    `server`. errors: whether the script prints tracebacks. The Result is play.result.
    """

    def play(handler, script, *args, kind="wire", errors=False, server=None, **options):
        play.server = serve(handler, kind, **(server or {}))
        play.result = target.run(script, play.server.url, *args, **options)
        play.server.served(play.result)
        assert (bool(play.result.errors), play.result.status) == (errors, 0), play.result
        return play.result.lines

    return play


@pytest.fixture
def api(request, play):
    """As play(), with the test module's PRELUDE before the script."""
    return lambda handler, script, *args, **options: play(
        handler, request.module.PRELUDE + textwrap.dedent(script), *args, **options)


@pytest.fixture
def alone(request, target):
    """alone(script) runs one that needs no server behind the test module's PRELUDE.

    Returns its lines.
    """

    def alone(script):
        result = target.run(request.module.PRELUDE + textwrap.dedent(script))
        assert (result.errors, result.status) == ("", 0), result
        return result.lines

    return alone


@pytest.fixture
def listening(request, target):
    """listening(text, client) runs a server's script, behind the test module's SERVER, and then a
    client(port); returns the script's lines and what the client returned.
    """

    def listening(text, client):
        port = free_port()
        target.forward(port)
        process = target.start(request.module.SERVER + textwrap.dedent(text), port)
        process.until("serving")
        try:
            got = client(port)
        except BaseException as e:
            e.add_note(f"the script: {process.result(20)}")
            raise
        result = process.result(20)
        assert (result.status, result.errors) == (0, ""), result
        return result.lines, got

    return listening
