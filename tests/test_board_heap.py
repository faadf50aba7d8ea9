"""The heap of the emulated ESP8266-class board: figures of tools/bench/memory.py, as tests.

The figures are printed (pytest -rP) and recorded as properties.
"""

from statistics import median

import lx106
import memory
import pytest

TOLERANCE = 64  # bytes
# Of the largest block, as the median: small objects that live on lie where there was room for
# them, now here, now there.
KEPT = 0.85

STEADY = memory.START + "import websocket\n" + memory.CLIENT + """
data = b"m" * {length}
def steady(turn):
    gc.disable()
    for _ in range(5):
        turn()
        sleep_ms(20)
    before = gc.mem_alloc()
    for _ in range(20):
        turn()
        sleep_ms(20)
    print(gc.mem_alloc() - before)
    gc.enable()
ws = client()
ws.connect({url!r} + {path!r})
until("open")
sleep_ms(100)
steady(lambda: {turn})
"""


@pytest.fixture
def server():
    server = memory.Server(16)
    yield server
    server.close()


@pytest.mark.long
def test_1000_reconnects_and_20000_messages_leave_the_heap_where_it_was(record_property):
    steps = memory.endure(1000, 20000)
    print("free, largest block:", *steps)
    record_property("heap", steps)
    free, blocks = zip(*steps, strict=True)
    # What a stale word on the stack keeps alive now and then is no leak: that would stay.
    assert max(free[5:]) >= max(free[:5]) - TOLERANCE
    assert median(blocks[5:]) >= KEPT * median(blocks[:5])


def test_largest_message_takes_60_percent_of_the_largest_free_block(record_property):
    for kind, (length, block) in memory.largest().items():
        print(f"{kind}: {length} of {block} bytes")
        record_property(kind, length)
        assert length >= block * memory.BLOCK_GOAL / 100


@pytest.mark.parametrize("name", memory.FACADES)
def test_importing_an_api_takes_2_kib_at_most(name, record_property):
    length, connected = memory.facade(name)
    print(f"{name}: {length}, connected: {connected} free")
    record_property("heap", (length, connected))
    assert 0 < length <= memory.FACADE_GOAL
    assert connected >= 24 * 1024


@pytest.mark.parametrize(("path", "turn"), [
    ("0", "ws.send(data, 2)"),
    ("0", "ws.send(b'', 9)"),
    ("ping", "None"),
], ids=["send", "ping", "pong"])
def test_steady_state_allocates_nothing(server, path, turn):
    with lx106.Board() as board:
        board.until(b">>> ")
        out = board.exec(STEADY.format(url=server.url, path=path, turn=turn, length=1024))
    assert memory.numbers(out) == [0]


def test_wss_with_a_ca_leaves_room_on_heap_and_stack(record_property):
    connected, connecting, stack = memory.tls()
    print(f"free: {connected}, while connecting {connecting}; stack: {stack}")
    record_property("tls", (connected, connecting, stack))
    assert connected >= 22 * 1024
    assert connecting >= 9 * 1024  # with 4 KiB of it in one piece
    assert stack <= 6 * 1024
