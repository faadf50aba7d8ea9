"""A soft reset of the emulated board leaves nothing behind: memory, sockets, timers."""

import pytest
from peer.certificates import der
from peer.conftest import SET_CLOCK

LINKS = 2  # at once; ROUNDS times as many are more than lwIP has
ROUNDS = 5

SLACK = 128  # bytes of heap, which stale words on the stack may keep

FREE = "import gc; gc.collect(); print(gc.mem_free())"

SETUP = """
import machine
import socket
from time import sleep_ms
import modwebsocket

def reach(stage, url):
    links = [modwebsocket.Link(url, print) for _ in range(2)]
    for link in links:
        while link.stage != ("open" if stage == "closing" else stage):
            sleep_ms(1)
        if stage == "closing":
            link.close()
    machine.Timer(-1).init(period=1, callback=print)
    listener = socket.socket()
    listener.bind(("0.0.0.0", 80))
    listener.listen(2)
    listener.setsockopt(socket.SOL_SOCKET, 20, print)
    client = socket.socket()
    client.connect(("127.0.0.1", 80))  # and nobody accepts
    print(stage, all(link.stage == stage for link in links))
    machine.soft_reset()
"""


@pytest.mark.parametrize("stage", ["dns", "tcp", "http", "open", "closing"])
def test_soft_reset_leaves_nothing_behind(board, serve, stage):
    async def handler(wire):
        await wire.request()
        if stage != "http":
            await wire.send(wire.answer())
        await wire.ended()

    server = serve(handler)
    url = {"dns": "ws://server.example/", "tcp": "ws://10.0.2.77/"}.get(stage, server.board_url)
    free = int(board.exec(FREE))
    for count in range(0, LINKS * ROUNDS, LINKS):
        board.exec(SETUP)
        board.write(f"\x02reach('{stage}', '{url}')\r".encode())
        board.until(f"{stage} True\r\n".encode())
        board.until(b"soft reboot\r\n")
        board.until(b">>> ")
        if url == server.board_url:
            server.came(count + LINKS)
            for i in range(count, count + LINKS):
                server.result(i)
        # The background's timer has 20 ms.
        assert board.exec("import time; time.sleep_ms(100)") == ""
        assert abs(int(board.exec(FREE)) - free) <= SLACK


@pytest.mark.parametrize("stage", ["tls", "open"])
def test_soft_reset_gives_the_memory_of_tls_back(board, serve, certificates, stage):
    async def handler(wire):
        if stage == "open":
            await wire.open()
        await wire.ended()

    server = serve(handler, tls=certificates.server() if stage == "open" else None)
    url = server.board_url.replace("ws:", "wss:")
    free = int(board.exec(FREE))
    for i in range(3):
        board.exec(SET_CLOCK + f"""
import machine
import modwebsocket
from time import sleep_ms
link = modwebsocket.Link({url!r}, print, cadata={der(certificates.ca)!r})
while link.stage != {stage!r}:
    sleep_ms(1)
""")
        board.write(b"\x02machine.soft_reset()\r")
        board.until(b"soft reboot\r\n")
        board.until(b">>> ")
        server.came(i + 1)
        server.result(i)
        assert abs(int(board.exec(FREE)) - free) <= SLACK
