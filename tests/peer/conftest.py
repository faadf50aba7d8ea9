"""What the peer tests share: servers that end with their test, and scripts that tell events."""

import textwrap

import pytest
from peer.servers import KINDS, Loop

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

    def serve(handler, kind="wire", host="127.0.0.1", port=0, refuse=None):
        server = KINDS[kind](handler, refuse)
        loop.run(server.start(host, port))
        servers.append(server)
        return server

    yield serve
    for server in servers:
        loop.run(server.stop())


@pytest.fixture(params=["websockets", "aiohttp"])
def kind(request):
    """The servers that others wrote."""
    return request.param


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
    The server is talk.server, the Result talk.result.
    """

    def talk(handler, script, *args, kind="wire", connects=1, errors=False, **options):
        talk.server = serve(handler, kind)
        talk.result = target.run(prepare(script), talk.server.url, *args, **options)
        # The handler first: what it saw says more about what went wrong.
        for i in range(talk.server.count):
            talk.server.result(i)
        check(talk.result, connects, errors)
        return talk.result.lines

    return talk
