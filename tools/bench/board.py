"""Measure the emulated ESP8266-class board: its heap, and the instructions of an echo.

    build/venv/bin/python tools/bench/board.py

A server of PyPI's `websockets` on this machine sends a text, the board's handler sends it back;
QEMU's plugin (count.c) counts what the board executes meanwhile, lwIP and waiting included. "raw
TCP" is the same through a socket and its callback, without WebSocket.
"""

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import lx106  # noqa: E402

WARM_UP, COUNTED = 20, 200  # messages
SIZES = {16: 20000, 1024: 60000}  # bytes of a message: its goal

HEAP = """
import gc
def free():
    gc.collect()
    gc.collect()
    print(gc.mem_free())
free()
import websocket
free()
ws = websocket.createClient()
ws.on("receive", lambda ws, m: None)
ws.connect({url!r})
from time import sleep_ms
sleep_ms(300)
free()
ws.close()
sleep_ms(300)
free()
"""

COUNT = """
import lx106
n = 0
def count():
    global n
    n += 1
    if n == {warm_up}:
        lx106.bench_begin()
    elif n == {warm_up} + {counted}:
        lx106.bench_end()
"""

ECHO = COUNT + """
import websocket
def receive(ws, message):
    count()
    ws.send(message)
ws = websocket.createClient()
ws.on("receive", receive)
ws.connect({url!r})
"""

RAW = COUNT + """
import socket
buf = bytearray(2000)
whole = memoryview(buf)[:{size}]
def receive(sock):
    got = 0
    while got < {size}:
        k = sock.readinto(buf, {size} - got)
        if not k:
            return
        got += k
    count()
    sock.write(whole)
sock = socket.socket()
sock.connect(("10.0.2.2", {port}))
sock.setblocking(False)
sock.setsockopt(socket.SOL_SOCKET, 20, receive)
"""


def websocket_peer(size):
    """Start a server that sends a text and waits for its echo, again and again; its URL."""
    def talk(connection):
        try:
            while True:
                connection.send("m" * size)
                connection.recv()
        except ConnectionClosed:
            pass

    server = serve(talk, "127.0.0.1", 0, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"ws://{lx106.HOST}:{server.socket.getsockname()[1]}/"


def raw_peer(size):
    """The same without WebSocket; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk():
        connection = listener.accept()[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                connection.sendall(b"m" * size)
                left = size
                while left:
                    got = len(connection.recv(left))
                    if not got:
                        return
                    left -= got
        except OSError:
            pass

    threading.Thread(target=talk, daemon=True).start()
    return listener.getsockname()[1]


def heap():
    """Return free bytes: at the prompt, with the module, with a connection, when it has ended."""
    with lx106.Board() as board:
        board.until(b">>> ")
        return [int(n) for n in board.exec(HEAP.format(url=websocket_peer(16))).split()]


def count(script, plugin, **fields):
    """Return the instructions per message of a script."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        with lx106.Board(options=["-plugin", f"{plugin},out={counts}"]) as board:
            board.until(b">>> ", 60)
            board.exec(script.format(warm_up=WARM_UP, counted=COUNTED, **fields))
            board.exec("from time import sleep_ms\n"
                       f"while n < {WARM_UP + COUNTED}: sleep_ms(100)", 120)
        return int(counts.read_text()) // COUNTED


def main():
    """Print all figures."""
    plugin = lx106.BUILD / "bench" / "count.so"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", HERE / "count.c", "-o", plugin], check=True)
    names = ("at the prompt", "after import websocket", "with an open connection", "after it")
    for name, free in zip(names, heap(), strict=True):
        print(f"heap free, bytes: {free:6} {name}")
    for size, goal in SIZES.items():
        raw = count(RAW, plugin, size=size, port=raw_peer(size))
        ours = count(ECHO, plugin, url=websocket_peer(size))
        verdict = "met" if ours <= goal else "not met"
        print(f"echo of {size:4} B text, instructions: {ours:6}, goal {goal}: {verdict}; "
              f"raw TCP {raw}")


if __name__ == "__main__":
    main()
