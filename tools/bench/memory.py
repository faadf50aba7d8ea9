"""Measure the heap of the emulated ESP8266-class board, with NodeMCU's API.

    build/venv/bin/python tools/bench/memory.py [--write]

Free bytes, after a collection: at the prompt, after `import websocket`, with one, two and three
open connections, in the handler of a 1 KiB text that it has sent back, after all have closed.
What each of the other APIs takes to import beside the engine, and what is free with a connection
of it; what the blocking style takes, which lua-http's loads with its first client, and its server.
The largest text and binary message that arrives whole, also as a part of the largest free block.
Then the free heap and its largest block before and after many reconnects and echoed messages,
and what wss:// with a CA takes. And what is free on firmware without modwebsocket, with the
packages of tools/release.py in its file system, and in a read-only one that is memory.
--write puts the figures into README.md and docs/native.md, see tools/figures.py.
"""

import argparse
import re
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
import qemu  # noqa: E402
import release  # noqa: E402

FREE_GOAL = 28 * 1024  # with a connection
FACADE_GOAL = 2048  # of an API beside the engine
BLOCK_GOAL = 60  # per cent of the largest free block
STEP = 32  # bytes, of the search for the largest message
PIECE = 256  # bytes, of what fills the heap
STACK = 8192  # bytes
STOCK = lx106.BUILD / "lx106-stock" / "firmware.elf"
ROMFS = 0x402B0000  # see ports/lx106/lx106.ld
RECONNECTS, MESSAGES = 1000, 20000

# boot.py of docs/native.md.
NATIVE = "import esp, gc\nesp.set_native_code_location(0xFE000, 0x2000)\ngc.threshold(4096)\n"

# For the board. It has to be small: what is defined here is not free.
START = """
import gc
from time import sleep_ms
def free():
    gc.collect()
    gc.collect()
    return gc.mem_free()
"""

OPEN = """
ws{i} = websocket.createClient()
ws{i}.on("receive", lambda ws, message: None)
ws{i}.connect("{url}")
sleep_ms(300)
"""

CLIENT = """
import micropython
got = ended = 0
state = None
def opened(ws):
    global state
    state = "open"
def closed(ws, status):
    global ended, state
    ended += 1
    state = "closed"
def until(wanted):
    for _ in range(5000):
        if state == wanted:
            return
        sleep_ms(1)
    raise OSError(state)
def client():
    ws = websocket.createClient()
    ws.on("connection", opened)
    ws.on("close", closed)
    return ws
def end(ws):
    ws.close()
    until("closed")
"""

PEAK = """
def echo(ws, message):
    global got
    ws.send(message)
    got = free()
ws = client()
ws.on("receive", echo)
ws.connect({url!r})
until("open")
while not got:
    sleep_ms(1)
end(ws)
print(got)
"""

# An API's module: what connects.
FACADES = {
    "defold": "ws = defold.connect({url!r}, None, lambda self, ws, data: None)\nsleep_ms(300)",
    "lua_http": "ws = lua_http.new_from_uri({url!r})\nlua_http.check(ws.connect(10))",
    "qsys": "ws = qsys.WebSocket()\nws.Connect('ws', {host!r}, '/0', {port})\nsleep_ms(300)",
}
# What lua_http loads when it is needed: a client's, a server's, in this order.
PARTS = "modwebsocket.blocking", "lua_compat.lua_http_server"

# Prints the length of what came, 0 if the connection ended without, and the blocks before.
LARGEST = """
def receive(ws, message):
    global got
    got = len(message)
def ask(length):
    global got
    got = 0
    last = ended
    ws.connect({url!r} + str(length))
    until("open")
    gc.collect()
    gc.collect()
    if not length:
        micropython.mem_info()
    while not got and ended == last:
        sleep_ms(1)
    if ended == last:
        end(ws)
    print(got)
ws = client()
ws.on("receive", receive)
"""

# One message more than are counted shows that the last one went out.
ENDURE = """
def echo(ws, message):
    global got
    got += 1
    ws.send(message)
def messages(count):
    global got
    got = 0
    ws.on("receive", echo)
    ws.connect({url!r})
    while got < count:
        sleep_ms(10)
    end(ws)
def reconnects(count):
    ws.on("receive", None)
    for _ in range(count):
        ws.connect({url!r} + "0")
        until("open")
        end(ws)
ws = client()
"""


# fits() connects while so many bytes of the heap are in use, in small pieces, and prints whether
# it could. paint() marks what is free of the stack, deepest() prints how much was used since.
TLS = """
import lx106
def paint():
    for at in range(0x40000000 - {stack}, 0x40000000 - 3072, 4):
        lx106.poke(at, 0x15a5a5a5)
def deepest():
    left = 0
    while lx106.peek(0x40000000 - {stack} + left) == 0x15a5a5a5:
        left += 4
    print({stack} - left)
def fits(size):
    global state
    state = None
    try:
        ballast = [bytearray({piece} - 16) for _ in range(size // {piece})]
        ws.connect({url!r})
    except (MemoryError, ValueError):  # mbedTLS calls it "not a certificate"
        return print(0)
    while state not in ("open", "closed"):
        sleep_ms(1)
    print(int(state == "open"))
    if state == "open":
        end(ws)
ws = client()
ws.config({{"cacert": "/ca.der"}})
"""


class Server:
    """Answers the URL's path: /N with one binary, /text/N with one text of N bytes (none if 0);
    / with texts of `size` bytes, each when the last one has come back; /ping with many pings.
    """

    def __init__(self, size, tls=None):
        self._size = size
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None, max_size=None, ssl=tls)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        port = self._server.socket.getsockname()[1]
        self.url = f"{'wss' if tls else 'ws'}://{lx106.HOST}:{port}/"

    def close(self):
        """Let nobody in any more."""
        self._server.shutdown()

    def _talk(self, connection):
        *kind, length = connection.request.path[1:].split("/")
        try:
            if length == "ping":
                while True:
                    connection.ping().wait(1)
            elif length == "":
                while True:
                    connection.send("m" * self._size)
                    connection.recv()
            elif int(length):
                connection.send("m" * int(length) if kind else b"m" * int(length))
            for _ in connection:
                pass
        except ConnectionClosed:
            pass


def numbers(text):
    """The numbers, each a line of its own, that the board printed."""
    return [int(line) for line in text.split("\n") if line.isdigit()]


def largest_block(text):
    """Bytes of the largest free block, from micropython.mem_info()."""
    return 16 * int(re.search(r"max free sz: (\d+)", text)[1])


def heap():
    """Return free bytes by situation, as the module's docstring names them."""
    server = Server(1024)
    with lx106.Board() as board:
        board.until(b">>> ")
        board.exec(START)

        def free(source=""):
            # In a command of its own: the collector takes for a pointer what the last one left on
            # the stack, until the next one overwrites it.
            if source:
                board.exec(source)
            return numbers(board.exec("print(free())"))[-1]

        found = {"prompt": free(), "import": free("import websocket")}
        for i in range(3):
            found[f"{i + 1} open"] = free(OPEN.format(i=i, url=server.url + "0"))
        found["all closed"] = free(
            "for ws in (ws0, ws1, ws2): ws.close()\nsleep_ms(300)\ndel ws, ws0, ws1, ws2")
        board.exec(CLIENT)
        defined = free("ws = client()")
        peak = numbers(board.exec(PEAK.format(url=server.url)))[-1]
        # As if the script were as small as the one above.
        found["1 KiB echo"] = peak + found["all closed"] - defined
    server.close()
    return found


def unfrozen():
    """Return {figure: [free bytes at the prompt, after import, connected]}."""
    server = Server(1024)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release.lay_out(folder / "release", lx106.MPY_CROSS, {
            "xtensa": lx106.BUILD / "natmod" / "xtensa" / "_wscore.mpy"})
        for figure, package in (("heap lib", "esp8266"), ("heap rom", "esp8266"),
                                ("heap rom any", "any")):
            top = folder / "release" / package
            files = {str(file.relative_to(top)): file.read_bytes()
                     for file in sorted(top.rglob("*")) if file.suffix in (".py", ".mpy")}
            packed = folder / "files"
            if figure == "heap lib":
                packed.write_bytes(lx106.pack({f"lib/{n}": data for n, data in files.items()}))
                options = {"files": packed}
            else:
                packed.write_bytes(qemu.pack(files))
                options = {"options": [
                    "-device", f"loader,file={packed},addr={ROMFS:#x},force-raw=on"]}
            with lx106.Board(firmware=STOCK, **options) as board:
                board.until(b">>> ")
                board.exec((NATIVE if package == "esp8266" else "") + START)
                steps = "", "import websocket", OPEN.format(i=0, url=server.url + "0")
                found[figure] = [numbers(board.exec(step + "\nprint(free())"))[-1]
                                 for step in steps]
    server.close()
    return found


def facade(name):
    """Return what importing an API's module takes beside the engine, and what is free when it has
    connected, bytes of heap.
    """
    server = Server(0)
    _, host, port = server.url[:-1].replace("/", "").split(":")
    connect = FACADES[name].format(url=server.url + "0", host=host, port=port)
    with lx106.Board() as board:
        board.until(b">>> ")
        board.exec(START)
        before, after, connected = [
            # What a stale word on the stack keeps alive, the next look may not see.
            max(numbers(board.exec(source + "\n" + "print(free())\n" * 3)
                        + board.exec("print(free())")))
            for source in ("import modwebsocket", f"from lua_compat import {name}", connect)]
    server.close()
    return before - after, connected


def parts():
    """Return the bytes of heap that PARTS take beside lua_http, each beside those before it."""
    with lx106.Board() as board:
        board.until(b">>> ")
        found = numbers(board.exec(
            START + "\nimport modwebsocket\nfrom lua_compat import lua_http\nprint(free())\n"
            + "".join(f"import {name}\nprint(free())\n" for name in PARTS)))
    return [before - after for before, after in zip(found, found[1:], strict=False)]


def largest():
    """Return {"text" or "binary": (bytes of the largest message, of the largest free block)}."""
    server = Server(0)
    found = {}
    for kind, path in (("text", "text/"), ("binary", "")):
        with lx106.Board() as board:
            board.until(b">>> ")
            board.exec(START + "import websocket\n" + CLIENT
                       + LARGEST.format(url=server.url + path))
            out = board.exec("ask_block = ended\nws.connect(%r)\nuntil('open')\ngc.collect()\n"
                             "gc.collect()\nmicropython.mem_info()\nend(ws)" % (server.url + "0"))
            block = largest_block(out)
            low, high = 1024, block
            while high - low > STEP:
                middle = (low + high) // 2
                if numbers(board.exec(f"ask({middle})"))[-1] == middle:
                    low = middle
                else:
                    high = middle
            found[kind] = (low, block)
    server.close()
    return found


def tls():
    """Return free bytes with a connection over wss://, and while it is made; bytes of stack."""
    context, ca = certificate.make()
    server = Server(0, context)
    url = server.url + "0"
    with tempfile.NamedTemporaryFile() as files:
        files.write(lx106.pack({"ca.der": ca}))
        files.flush()
        with lx106.Board(files=files.name) as board:
            board.until(b">>> ")
            before = numbers(board.exec(START + "import websocket\nprint(free())"))[-1]
            board.exec(certificate.SET_CLOCK + CLIENT + TLS.format(
                url=url, piece=PIECE, stack=STACK))
            defined = numbers(board.exec("print(free())"))[-1]
            # Downwards: a little more or less moves what lies in the way of TLS's big buffers.
            pieces = range(defined // PIECE, 0, -1)
            fits = next(n for n in pieces if numbers(board.exec(f"fits({n * PIECE})"))[-1])
            stack = numbers(board.exec(
                f"paint()\nws.connect({url!r})\nuntil('open')\ndeepest()"))[-1]
            connected = numbers(board.exec("print(free())"))[-1]  # in its own, as in heap()
    server.close()
    # As if there were no script.
    return connected + before - defined, fits * PIECE + before - defined, stack


def endure(reconnects, messages):
    """Return [(free bytes, largest free block)] after each tenth of reconnects and messages."""
    server = Server(16)
    found = []
    with lx106.Board() as board:
        board.until(b">>> ")
        board.exec(START + "import websocket\n" + CLIENT + ENDURE.format(url=server.url))

        turn = f"reconnects({reconnects // 10})\nmessages({messages // 10})\n"
        for _ in range(10):
            out = board.exec(turn + "print(free())\nmicropython.mem_info()", 600)
            found.append((numbers(out)[-1], largest_block(out)))
    server.close()
    return found


def main():
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    options = parser.parse_args()

    print("emulated board, bytes of its heap that are free, after a collection")
    free = heap()
    for situation, n in free.items():
        print(f"{situation:12} {n:7,}")
    print(f"goal 1 open: {figures.verdict(-free['1 open'], -FREE_GOAL)} (at least {FREE_GOAL:,})")
    facades = {name: facade(name) for name in FACADES}
    for name, (length, connected) in facades.items():
        print(f"import {name}: {length:,}; goal {figures.verdict(length, FACADE_GOAL)} "
              f"(at most {FACADE_GOAL:,}); connected: {connected:,}")
    loaded = parts()
    print("lua_http's first client, server load", *loaded)
    share = {}
    for kind, (length, block) in largest().items():
        share[kind] = 100 * length // block
        print(f"largest {kind} message: {length:,} of the largest free block's {block:,}, "
              f"{share[kind]} %; goal {figures.verdict(-share[kind], -BLOCK_GOAL)} "
              f"(at least {BLOCK_GOAL} %)")
    print(f"free, largest block after tenths of {RECONNECTS} reconnects and {MESSAGES} echoes:",
          *endure(RECONNECTS, MESSAGES))
    secure, least, stack = tls()
    print(f"wss:// with a CA: {secure:,}; while it is made at least {least:,}, "
          f"and {stack:,} of the stack's {STACK:,} are used")
    ways = {"heap": [free[k] for k in ("prompt", "import", "1 open")], **unfrozen()}
    for way, (prompt, imported, connected) in ways.items():
        print(f"{way}: {prompt:,}; imported {imported:,}; connected {connected:,}")
    if options.write:
        ways = {way: ", ".join(f"{n:,}".replace(",", " ") for n in three)
                for way, three in ways.items()}
        figures.write(ways, figures.DOCS / "native.md")
        figures.write(ways)
        figures.write({
            "heap tls": ", ".join(f"{n:,}".replace(",", " ") for n in (secure, least)),
            "stack tls": f"{stack:,}".replace(",", " "),
            "heap goal": "" if free["1 open"] >= FREE_GOAL else ": **not met**",
            "connections": ", ".join(
                str(free[f"{i} open"] - free[f"{i + 1} open"]) for i in (1, 2)),
            "facades": ", ".join(
                f"`{name}` {length:,}".replace(",", " ")
                for name, (length, _) in facades.items()),
            "facades goal": "" if all(length <= FACADE_GOAL for length, _ in facades.values())
                            else ": **not met**",
            "facades open": ", ".join(
                f"{connected:,}".replace(",", " ") for _, connected in facades.values()),
            "lua_http": ", ".join(f"{length:,}".replace(",", " ") for length in loaded),
            "heap peak": f"{free['1 KiB echo']:,}".replace(",", " "),
            "largest": ", ".join(f"{part} %" for part in share.values()),
        })


if __name__ == "__main__":
    main()
