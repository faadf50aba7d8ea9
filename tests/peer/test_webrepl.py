"""WebREPL on the emulated board, beside an open connection of ours."""

import asyncio
import socket

import pytest
from websockets.asyncio.client import connect

# What micropython-lib's webrepl.py does, without its page for browsers.
WEBREPL = """
import os
import socket
import _webrepl
import websocket
from _wscore import accept

def serve(listener):
    client = listener.accept()[0]
    line = key = b""
    while line != b"\\r\\n":
        line = client.readline()
        if line.lower().startswith(b"sec-websocket-key:"):
            key = line.split(b":")[1].strip()
    client.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
        b"Connection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept(key) + b"\\r\\n\\r\\n")
    session = _webrepl._webrepl(websocket.websocket(client, True))
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, 20, os.dupterm_notify)
    os.dupterm(session)

_webrepl.password("secret")
listener = socket.socket()
listener.bind(("0.0.0.0", 8266))
listener.listen(1)
listener.setsockopt(socket.SOL_SOCKET, 20, serve)
"""


class Session:
    """A person at WebREPL. connection: of `websockets`."""

    def __init__(self, connection):
        self._connection = connection
        self._text = ""

    async def type(self, text):
        """Types text."""
        await self._connection.send(text)

    async def until(self, mark):
        """What the board has printed up to and with mark."""
        async with asyncio.timeout(10):
            while mark not in self._text:
                self._text += await self._connection.recv()
        head, _, self._text = self._text.partition(mark)
        return head + mark


@pytest.fixture
def port():
    """A free port of this machine, which leads to the board's WebREPL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def webrepl_board(start_board, port):
    board = start_board(net=f",hostfwd=tcp:127.0.0.1:{port}-:8266")
    board.until(b">>> ")
    board.exec(WEBREPL)
    board.write(b"\x02")
    board.until(b">>> ")
    return board


def test_webrepl_serves_beside_an_open_connection(webrepl_board, port, serve, loop):
    peers = asyncio.Queue()

    async def handler(peer):
        await peers.put(peer)
        await peer.raw.wait_closed()

    async def echoes(peer, count=1):
        for i in range(count):
            await peer.send(f"message {i}")
            assert await peer.recv() == f"message {i}"

    async def session():
        peer = await peers.get()
        await echoes(peer)
        # MicroPython answers a close frame, but waits for the other side to end TCP.
        where = f"ws://127.0.0.1:{port}/"
        async with connect(where, ping_interval=None, close_timeout=0.1) as connection:
            person = Session(connection)
            await person.until("Password: ")
            await echoes(peer)
            await person.type("secret\r")
            await person.until("WebREPL connected\r\n>>> ")
            await person.type("6 * 7\r")
            assert await person.until(">>> ") == "6 * 7\r\n42\r\n>>> "
            await person.type("ws.send('typed')\r")
            await person.until(">>> ")
            assert await peer.recv() == "typed"
            # Both at once.
            await person.type("for i in range(100): print(i, '-' * 40)\r\r")
            await asyncio.gather(person.until("99 " + "-" * 40 + "\r\n"), echoes(peer, 50))
            await person.until(">>> ")
        return peer

    server = serve(handler, "websockets", wait_s=60)
    for line in ("ws = websocket.createClient()",
                 "ws.on('receive', lambda ws, message: ws.send(message))",
                 f"ws.connect('{server.board_url}')"):
        webrepl_board.write(line.encode() + b"\r")
    peer = loop.run(session(), timeout_s=60)
    webrepl_board.until(b"dupterm: EOF received")
    loop.run(echoes(peer))
    webrepl_board.write(b"ws.close()\r")
    server.result()
    assert peer.close_code == 1000
