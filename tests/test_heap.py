"""What a connection costs on a 32-bit heap, against a real server.

The figures are printed (pytest -rP) and recorded as properties.
"""

import threading
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

pytestmark = pytest.mark.parametrize("target", ["unix32"], indirect=True)

SCRIPT = Path(__file__).resolve().parent / "device" / "heap.py"

IDLE_MAX = 1536  # bytes
TOLERANCE = 64  # bytes, four blocks: what an unlucky leftover on the stack keeps alive


def echo(connection):
    try:
        for message in connection:
            connection.send(message)
    except ConnectionClosed:
        pass


@pytest.fixture(scope="module")
def url():
    with serve(echo, "127.0.0.1", 0, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()


@pytest.fixture(params=["link", "client"])
def measure(request, target, url, record_property):
    """Returns measure(what): bytes, for the engine's Link and for NodeMCU's client."""
    def measure(what):
        result = target.run(SCRIPT, url, what, request.param, timeout_s=60)
        assert result.status == 0, result
        number = int(result.lines[-1])
        print(f"{what}, {request.param}: {number} bytes")
        record_property(f"{what}_{request.param}_bytes", number)
        return number

    return measure


def test_open_idle_connection_holds_at_most_1536_bytes_beside_its_buffers(measure):
    assert 0 < measure("idle") <= IDLE_MAX


def test_10000_messages_leave_the_heap_where_it_was(measure):
    assert abs(measure("echo")) <= TOLERANCE


def test_200_reconnects_leave_the_heap_where_it_was(measure):
    assert abs(measure("reconnect")) <= TOLERANCE
