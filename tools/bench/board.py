"""Count what the emulated ESP8266-class board executes: for an echo, to connect, in pure Python.

    build/venv/bin/python tools/bench/board.py [--peers FOLDER] [--profile] [--write]

A server of PyPI's `websockets` on this machine sends a text and waits until the board has sent it
back. QEMU's plugin counts everything meanwhile, lwIP and waiting included. An echo costs what 120
of them take more than 20 (after 20 more, uncounted), divided by 100: what else happens once, as
connecting, is in both. The least of three such runs counts, because the network behind QEMU
answers some frames by one of its own more when the host is busy. The board's clock counts
instructions, at a speed with which timers hardly matter. The same over wss:// with a CA.

"raw TCP" is the same without WebSocket; "pure Python" is bench_classic.py. With --peers other
people's clients run on the board beside ours: each file bench_NAME.py in FOLDER has

    def echo(url, count):
        connect; count times: receive a text, send it back; close

and all else that FOLDER holds is for it to import: everything is compiled and copied to the
board's file system. --profile prints instead which functions an echo of ours spends most in.
--write puts the figures into README.md, see tools/figures.py.
"""

import argparse
import contextlib
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import certificate  # noqa: E402
import figures  # noqa: E402
import lx106  # noqa: E402

SIZES = {16: 20000, 1024: 60000}  # bytes of a message: its goal
WARM_UP = FEW = 20
MANY = 120
RUNS = (FEW, MANY) * 3
TIMEOUT_S = 120

# Scripts for the board.

OURS = """
import websocket
ws = websocket.createClient()
ws.on("receive", lambda ws, message: ws.send(message))
ws.config({config!r})
ws.connect({url!r})
"""

RAW = """
import socket
buf = bytearray({size})
def receive(sock):
    got = sock.readinto(buf)
    while got and got < {size}:
        got += sock.readinto(memoryview(buf)[got:])
    sock.write(buf)
sock = socket.socket()
sock.connect(socket.getaddrinfo(*{address!r})[0][-1])
sock.setblocking(False)
sock.setsockopt(socket.SOL_SOCKET, 20, receive)
"""

RAW_BLOCKING = """
import socket
def echo(url, count):
    buf = bytearray({size})
    sock = socket.socket()
    sock.connect(socket.getaddrinfo(*{address!r})[0][-1])
    for _ in range(count):
        sock.readinto(buf)
        sock.write(buf)
    sock.close()
"""

CONNECT = """
from time import sleep_ms
import lx106
import websocket
state = None
def opened(ws):
    global state
    lx106.bench_end()
    state = "open"
def closed(ws, code):
    global state
    state = "closed"
ws = websocket.createClient()
ws.on("connection", opened)
ws.on("close", closed)
ws.config({config!r})
for _ in range({count}):
    lx106.bench_begin()
    ws.connect({url!r})
    while state != "open":
        sleep_ms(1)
    ws.close()
    while state != "closed":
        sleep_ms(1)
"""

# Each line between the markers; the first one does nothing.
PURE_PYTHON = """
import io
import lx106
import bench_classic
key = b"\\x12\\x34\\x56\\x78"
data = bytes({size})
frame = io.BytesIO({header!r} + data)
def nothing(a, b):
    pass
def run(function, *args):
    lx106.bench_begin()
    function(*args)
    lx106.bench_end()
run(nothing, key, data)
run(bench_classic.mask, key, data)
run(bench_classic.read_frame, frame)
"""


class Server:
    """Sends texts to the board and takes them back, as often as it is told."""

    def __init__(self, size, orders_each=1, tls=None):
        """size: bytes of a text. orders_each: order()s that one connection serves.

        tls: an ssl.SSLContext, for wss.
        """
        self._text = "m" * size
        self._orders_each = orders_each
        self._orders = queue.Queue()
        self._served = queue.Queue()
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None, ssl=tls)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        port = self._server.socket.getsockname()[1]
        self.url = f"{'wss' if tls else 'ws'}://{lx106.HOST}:{port}/"
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept_raw, daemon=True).start()
        self.raw_address = (lx106.HOST, self._listener.getsockname()[1])

    def order(self, count):
        """Let the next connection, or the one that is open, exchange count texts."""
        self._orders.put(count)

    def wait(self):
        """Wait until an order has been carried out."""
        self._served.get(timeout=TIMEOUT_S)

    def close(self):
        """Let nobody in any more."""
        self._server.shutdown()
        self._listener.close()

    def _exchange(self, send, receive):
        for _ in range(self._orders_each):
            for _ in range(self._orders.get()):
                send()
                receive()
            self._served.put(None)

    def _talk(self, connection):
        try:
            self._exchange(lambda: connection.send(self._text), connection.recv)
            connection.recv()
        except ConnectionClosed:
            pass

    def _accept_raw(self):
        while True:
            try:
                self._talk_raw(self._listener.accept()[0])
            except OSError:
                return

    def _talk_raw(self, connection):
        text = self._text.encode()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as file:
            self._exchange(lambda: connection.sendall(text), lambda: file.read(len(text)))
            file.read()


class Counter:
    """A board whose executed instructions are counted, as a context manager."""

    def __init__(self, peers=None, options=""):
        """peers: more files for the board, see board_files(). options: the plugin's, from a comma.
        """
        self._folder = tempfile.TemporaryDirectory()
        self._counts = Path(self._folder.name) / "counts"
        packed = Path(self._folder.name) / "files"
        packed.write_bytes(lx106.pack(peers or {}))
        self._board = lx106.Board(
            files=packed, options=["-icount", "shift=2", "-plugin",
                                   f"{lx106.PLUGIN},out={self._counts}{options}"])

    def __enter__(self):
        self._board.until(b">>> ", TIMEOUT_S)
        return self

    def __exit__(self, *_):
        self._board.close()
        self._folder.cleanup()

    def exec(self, source):
        """Run source on the board; returns what it printed."""
        return self._board.exec(source, TIMEOUT_S)

    def counts(self):
        """Return the instructions of each run so far."""
        return [int(line) for line in self._counts.read_text().split("\n")[:-1] if " " not in line]

    def profiles(self):
        """Return {function: instructions} of each run so far."""
        found = [{}]
        for line in self._counts.read_text().split("\n")[:-1]:
            number, _, name = line.partition(" ")
            if name:
                found[-1][name] = int(number)
            else:
                found.append({})
        return found[:-1]

    def per_echo(self):
        """Return the instructions of one echo; the last runs were RUNS of them."""
        counts = self.counts()[-len(RUNS):]
        return min(many - few for few, many in zip(counts[::2], counts[1::2], strict=True)) / (
            MANY - FEW)


@contextlib.contextmanager
def echoed_by_callback(script, size, options="", tls=None, **config):
    """A board that has run RUNS of echoes of a script whose callbacks answer.

    tls: the server's ssl.SSLContext. config: the client's.
    """
    server = Server(size, orders_each=1 + len(RUNS), tls=tls)
    with Counter(options=options) as board:
        board.exec(certificate.SET_CLOCK + script.format(
            url=server.url, address=server.raw_address, size=size, config=config))
        server.order(WARM_UP)
        server.wait()
        board.exec("import gc, lx106")
        for count in RUNS:
            board.exec("gc.collect(); lx106.bench_begin()")
            server.order(count)
            server.wait()
            board.exec("lx106.bench_end()")
        server.close()
        yield board


def echo_by_callback(script, size, **options):
    """Return the instructions per echo of a script whose callbacks answer."""
    with echoed_by_callback(script, size, **options) as board:
        return board.per_echo()


def print_profile(size, most=40):
    """Print which functions an echo of ours spends its instructions in."""
    with echoed_by_callback(OURS, size, ",profile=on") as board:
        few, many = board.profiles()[-2:]
        print(f"{board.per_echo():9,.0f} an echo of {size} B, of them")
    each = {name: (n - few.get(name, 0)) / (MANY - FEW) for name, n in many.items()}
    for name in sorted(each, key=each.get, reverse=True)[:most]:
        print(f"{each[name]:9,.0f} {name}")


def echo_by_call(script, size, files=None):
    """Return the instructions per echo of the function echo() that a script defines."""
    server = Server(size)
    with Counter(files) as board:
        board.exec("import gc, lx106\n"
                   + script.format(address=server.raw_address, size=size))
        for count in (WARM_UP, *RUNS):
            server.order(count)
            board.exec(f"gc.collect(); lx106.bench_begin(); echo({server.url!r}, {count}); "
                       "lx106.bench_end()")
            server.wait()
        server.close()
        return board.per_echo()


def connect(tls=None, **config):
    """Return the instructions from connect() to the event, the median of some."""
    server = Server(16, orders_each=0, tls=tls)
    with Counter() as board:
        board.exec(certificate.SET_CLOCK
                   + CONNECT.format(url=server.url, count=5, config=config))
        server.close()
        return statistics.median(board.counts())


def pure_python(size):
    """Return the instructions to mask, and to read a frame, in pure Python."""
    with Counter(board_files(HERE)) as board:
        header = bytes([0x81, size]) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
        board.exec(PURE_PYTHON.format(size=size, header=header))
        nothing, *counts = board.counts()
        return [count - nothing for count in counts]


def board_files(folder):
    """The clients of a folder and what they import, as files for the board: {name: bytes}."""
    files = {}
    clients = sorted(folder.glob("bench_*.py"))
    paths = clients if folder == HERE else sorted(folder.rglob("*"))
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "file.mpy"
        for path in paths:
            name = path.relative_to(folder).as_posix()
            if path.suffix == ".py":
                subprocess.run([lx106.MPY_CROSS, "-s", name, "-o", compiled, path], check=True)
                files[name.removesuffix(".py") + ".mpy"] = compiled.read_bytes()
            elif path.is_file():
                files[name] = path.read_bytes()
    return files


def clients(folder):
    """Names of the clients in a folder."""
    return [path.stem.removeprefix("bench_") for path in sorted(folder.glob("bench_*.py"))]


def main():
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", type=Path, help="folder of other clients")
    parser.add_argument("--profile", action="store_true", help="the functions of our echo")
    parser.add_argument("--write", action="store_true", help="into README.md")
    options = parser.parse_args()
    if options.profile:
        for size in SIZES:
            print_profile(size)
        return

    tls, ca = certificate.make()
    rows = {
        "raw TCP, by a callback": lambda n: echo_by_callback(RAW, n),
        "raw TCP, blocking": lambda n: echo_by_call(RAW_BLOCKING, n),
        "modwebsocket": lambda n: echo_by_callback(OURS, n),
        "modwebsocket, wss://": lambda n: echo_by_callback(OURS, n, tls=tls, cacert=ca),
    }
    for folder in (HERE, options.peers):
        if folder and not clients(folder):
            parser.error(f"no bench_*.py in {folder}")
        for name in clients(folder) if folder else ():
            title = "pure Python" if folder == HERE else name
            rows[title] = lambda n, name=name, folder=folder: echo_by_call(
                f"from bench_{name} import echo", n, board_files(folder))

    print("emulated board, executed instructions of an echo (text, lwIP included)")
    print(f"{'':30}" + "".join(f"{f'{size} B':>12}" for size in SIZES))
    table = {}
    for title, measure in rows.items():
        print(f"{title:30}", end="", flush=True)
        try:
            for size in SIZES:
                table[title, size] = round(measure(size))
                print(f"{table[title, size]:12,}", end="", flush=True)
        except (EOFError, RuntimeError, TimeoutError, queue.Empty) as error:
            if title not in clients(options.peers or HERE):
                raise
            print(f"  failed: {str(error).strip().splitlines()[-1]}", end="")
        print()
    for size, goal in SIZES.items():
        ours = table["modwebsocket", size]
        print(f"goal {size} B: {figures.verdict(ours, goal)} ({ours:,}, at most {goal:,}); "
              f"pure Python {table['pure Python', size] / ours:.1f} times as many")
    opened, opened_tls = connect(), connect(tls, cacert=ca)
    print(f"connect() to its event: {opened:,.0f}; wss:// with a CA: {opened_tls:,.0f}")
    masks, headers = {}, {}
    for size in SIZES:
        masks[size], headers[size] = pure_python(size)
        print(f"in pure Python, {size} B: mask {masks[size]:,}, read a frame {headers[size]:,}")

    def pair(title):
        return ", ".join(figures.rounded(table[title, size]) for size in SIZES)

    if options.write:
        figures.write({
            "echo": pair("modwebsocket"),
            "echo raw": pair("raw TCP, by a callback"),
            "echo python": pair("pure Python"),
            "echo goal": ": **not met**" if any(
                table["modwebsocket", n] > goal for n, goal in SIZES.items()) else "",
            "connect": figures.rounded(opened),
            "echo tls": pair("modwebsocket, wss://"),
            "connect tls": f"{opened_tls / 1e6:.0f}",
        })


if __name__ == "__main__":
    main()
