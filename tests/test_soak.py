"""10 000 connects and 1 000 000 messages leave the heap and the descriptors where they were.

The server is `picows`, the fastest that PyPI has. The figures are printed (pytest -rP).
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WINDOW = 32  # messages in flight
TOLERANCE = 2048  # bytes: what a pointer left on the stack keeps alive, at worst a connection

SERVER = """
import picows
import uvloop

class Echo(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())

async def serve():
    server = await picows.ws_create_server(lambda request: Echo(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

uvloop.run(serve())
"""


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"ws://127.0.0.1:{int(server.stdout.readline())}/"
        server.terminate()


@pytest.mark.parametrize(("style", "connects", "messages"), [
    ("callback", 10_000, 1_000_000), ("asyncio", 2000, 100_000), ("blocking", 2000, 100_000)])
def test_connects_and_messages_leave_heap_and_descriptors_where_they_were(
        unix, url, style, connects, messages):
    script = ROOT / "tests" / "device" / "soak.py"
    result = unix.run(script, url, style, connects, messages, WINDOW, timeout_s=110)
    assert result.status == 0, result
    for line, count in zip(result.lines, (connects, messages), strict=True):
        done, seconds, heap, descriptors = line.split()
        print(f"{style}: {done} in {seconds} s: {heap} bytes, {descriptors} descriptors")
        assert int(done) == count
        assert abs(int(heap)) <= TOLERANCE
        assert descriptors == "0"
