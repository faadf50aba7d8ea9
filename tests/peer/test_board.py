"""The emulated ESP8266-class board itself: its prompt, its network, its crashes."""

import pytest
from peer.servers import BINARY, FIN, PING, PONG, TEXT, frame


def test_handlers_are_called_at_the_idle_prompt(board, serve):
    async def handler(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "hello"))
        assert await wire.frame() == (TEXT, b"typed")
        await wire.close()

    server = serve(handler)
    for line in (
        "import websocket",
        "ws = websocket.createClient()",
        "ws.on('receive', lambda ws, message: print('got', message))",
        "ws.on('close', lambda ws, status: print('closed', status))",
        f"ws.connect('{server.board_url}')",
    ):
        board.write(line.encode() + b"\r")
    board.until(b">>> got hello\r\n")
    board.write(b"ws.send('typed')\r")
    board.until(b"closed -")
    server.result(0)


def test_dhcp_gives_an_address_and_a_name_server(board):
    out = board.exec("import network; print(network.WLAN(0).ifconfig())")
    assert out == "('10.0.2.15', '255.255.255.0', '10.0.2.2', '10.0.2.3')\n"


def test_clock_can_be_set(board):
    out = board.exec("""
import time
from machine import RTC
print(time.gmtime()[0])
RTC().datetime((2026, 1, 31, 0, 12, 34, 50, 0))
print(RTC().datetime()[:6], time.gmtime()[:5], time.time_ns() // 10**9 - time.time() in (0, -1))
""")
    assert out == "2000\n(2026, 1, 31, 5, 12, 34) (2026, 1, 31, 12, 34) True\n"


@pytest.mark.parametrize(("address", "why"), [(1, "unaligned access"), (0, "no memory there")])
def test_crash_tells_cause_address_and_function(board, address, why):
    with pytest.raises(EOFError, match=why) as error:
        board.exec(f"import lx106; lx106.peek({address})")
    assert f"address={address:08x}" in str(error.value)
    assert "mod_peek" in str(error.value)


@pytest.mark.parametrize(("call", "report"), [
    ("peek8(0x40210010)", "narrow load at 40210010 by mod_peek8"),
    ("peek8(0x40107001)", "narrow load at 40107001 by mod_peek8"),
    ("poke(0x402ffffc, 1)", "store into flash at 402ffffc by mod_poke"),
    ("peek(0x3ff40000)", "load outside at 3ff40000 by mod_peek"),
    ("poke(0x50000000, 1)", "store outside at 50000000 by mod_poke"),
])
def test_access_that_the_chip_does_not_have_is_reported(board, accesses, call, report):
    board.exec(f"import lx106; lx106.{call}")
    assert accesses.read_text().startswith(f"{report}, pc 402")


def test_messages_and_closing_access_memory_as_the_chip_does(board, accesses, serve):
    lengths = 1, 125, 126, 1031, 4000

    async def handler(wire):
        await wire.open()
        for n in lengths:
            for opcode in (TEXT, BINARY):
                await wire.send(frame(opcode, "m" * (n // 2)))
                await wire.send(frame(FIN | PING, "p") + frame(FIN, "m" * (n - n // 2)))
                assert await wire.frame() == (PONG, b"p")
                assert await wire.frame() == (opcode, b"m" * n)
        await wire.close()

    server = serve(handler)
    board.exec(
        "import websocket\n"
        "from time import sleep_ms\n"
        "ended = []\n"
        "ws = websocket.createClient()\n"
        "ws.on('receive', lambda ws, message, opcode: ws.send(message, opcode))\n"
        "ws.on('close', lambda ws, status: ended.append(status))\n"
        f"ws.connect('{server.board_url}')\n"
        "while not ended: sleep_ms(10)")
    server.result(0)
    assert accesses.read_text() == ""
