"""The emulated ESP8266-class board itself: its prompt, its network, its crashes."""

import lx106
import pytest
from peer.servers import FIN, TEXT, frame


@pytest.fixture
def board():
    """A board at its prompt."""
    with lx106.Board() as board:
        board.until(b">>> ")
        yield board


def test_handlers_are_called_at_the_idle_prompt(board, serve):
    async def handler(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "hello"))
        assert await wire.frame() == (TEXT, b"typed")
        await wire.close()

    server = serve(handler)
    url = server.url.replace("127.0.0.1", lx106.HOST)
    for line in (
        "import websocket",
        "ws = websocket.createClient()",
        "ws.on('receive', lambda ws, message: print('got', message))",
        "ws.on('close', lambda ws, status: print('closed', status))",
        f"ws.connect('{url}')",
    ):
        board.write(line.encode() + b"\r")
    board.until(b">>> got hello\r\n")
    board.write(b"ws.send('typed')\r")
    board.until(b"closed -")
    server.result(0)


def test_soft_reset_with_an_open_connection_leaves_nothing_behind(board, serve):
    async def handler(wire):
        await wire.open()
        assert await wire.rest() == []

    server = serve(handler)
    url = server.url.replace("127.0.0.1", lx106.HOST)
    board.write(f"import websocket; ws = websocket.createClient(); ws.connect('{url}')\r".encode())
    board.write(b"from time import sleep_ms; sleep_ms(300); print('re' + 'ady')\r")
    board.until(b"ready")
    board.write(b"\x04")
    board.until(b"soft reboot\r\n")
    board.until(b">>> ")
    board.exec("from time import sleep_ms; sleep_ms(200)")
    server.result(0)
    assert board.exec("import modwebsocket.pump as p; print(p._links)") == "[]\n"


def test_dhcp_gives_an_address_and_a_name_server(board):
    out = board.exec("import network; print(network.WLAN(0).ifconfig())")
    assert out == "('10.0.2.15', '255.255.255.0', '10.0.2.2', '10.0.2.3')\n"


@pytest.mark.parametrize(("address", "why"), [(1, "unaligned access"), (0, "no memory there")])
def test_crash_tells_cause_address_and_function(board, address, why):
    with pytest.raises(EOFError, match=why) as error:
        board.exec(f"import lx106; lx106.peek({address})")
    assert f"address={address:08x}" in str(error.value)
    assert "mod_peek" in str(error.value)
