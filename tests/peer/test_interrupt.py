"""Ctrl-C on the emulated board: the code that runs ends, the connection goes on."""

import asyncio

import pytest
from peer.keyboard import begin, stop

SETUP = """
import modwebsocket
import socket
import websocket
from time import sleep_ms

ws = websocket.createClient()

def spin():
    while True:
        pass

def turn():
    while True:
        modwebsocket.step(0)

def receive(ws, message):
    if message == "sleep":
        # Not a loop: MicroPython looks for Ctrl-C in a background handler only where it waits.
        print("sleeping")
        sleep_ms(100000)
    ws.send(message)

ws.on("receive", receive)
ws.on("close", lambda ws, code: print("closed", code))
ws.connect("{url}")
"""


class Peer:
    """The server's side of the board's connection, from the test's thread."""

    def __init__(self, loop, serve):
        self._loop = loop
        self._peers = asyncio.Queue()
        self.server = serve(self._handle, "websockets", wait_s=60)

    async def _handle(self, peer):
        await self._peers.put(peer)
        await peer.raw.wait_closed()

    def connected(self):
        """Waits for the connection."""
        self._peer = self._loop.run(self._peers.get())

    def send(self, *messages):
        """Sends messages."""

        async def send():
            for message in messages:
                await self._peer.send(message)

        self._loop.run(send())

    def expects(self, *messages):
        """Waits for messages."""

        async def receive():
            return [await self._peer.recv() for _ in messages]

        assert self._loop.run(receive()) == list(messages)

    def until(self, message):
        """The messages that come before this one."""

        async def receive():
            got = []
            while (one := await self._peer.recv()) != message:
                got.append(one)
            return got

        return self._loop.run(receive())

    def echoes(self, message):
        """A message makes its round."""
        self.send(message)
        self.expects(message)


@pytest.fixture
def peer(loop, serve):
    return Peer(loop, serve)


@pytest.fixture
def open_board(board, peer):
    """A board at its prompt with an open connection, `ws`, to peer."""
    board.exec(SETUP.format(url=peer.server.board_url))
    board.write(b"\x02")
    board.until(b">>> ")
    peer.connected()
    peer.echoes("before")
    return board


@pytest.mark.parametrize("line", [
    "spin()",
    "sleep_ms(100000)",
    "socket.socket().connect(('10.0.2.77', 80))",
    "modwebsocket.run()",
])
def test_interrupted_code_ends_and_the_connection_goes_on(open_board, peer, line):
    for i in range(6):  # more than lwIP has sockets
        begin(open_board, line)
        assert "KeyboardInterrupt" in stop(open_board)
        peer.echoes(f"after {i}")


@pytest.mark.parametrize("line", ["spin()", "modwebsocket.run()"])
def test_interrupted_handler_keeps_what_is_behind(open_board, peer, line):
    begin(open_board, line)
    peer.send("sleep", "second", "third")
    open_board.until(b"sleeping\r\n")
    open_board.write(b"\x03")
    peer.expects("second", "third")
    text = stop(open_board)
    text += begin(open_board, "modwebsocket.run()")
    peer.echoes("after")
    text += stop(open_board)
    peer.echoes("at the prompt")
    text += begin(open_board, "pass")
    assert "KeyboardInterrupt" in text
    assert "RuntimeError" not in text, text


@pytest.mark.parametrize("line", ["spin()", "turn()"])
def test_interrupts_at_any_moment_keep_the_connection(open_board, peer, line):
    for i in range(100):
        begin(open_board, line)
        messages = [f"{i}.{j}" for j in range(8)]
        peer.send(*messages)
        open_board.write(b"\x03")
        stop(open_board)
        peer.send("end")
        got = peer.until("end")
        # The one whose handler was interrupted may be missing.
        assert len(got) >= 7 and [m for m in messages if m in got] == got
