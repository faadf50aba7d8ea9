"""How long a script is held up, at most at a time, while a connection comes about.

    build/venv/bin/python tools/bench/connect.py [--write]

A script that turns the crank itself, by step(0), has each turn timed, and the longest of each
stage counts. getaddrinfo() is timed apart: it is the C library's, waits for the network as long as
that takes, and nothing bounds it. Printed is the median of many connects, and the worst of all,
in which a busy machine has its share. Then the same on the emulated board, in instructions, which
QEMU counts, to a numeric address.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))
import figures  # noqa: E402
from board import Counter  # noqa: E402
from board import Server as BoardServer  # noqa: E402
from echo import BUILD, MICROPYTHON, Server  # noqa: E402

CONNECTS = 31
BOARD_CONNECTS = 5
STEPS = {
    "make": "Link() itself",
    "getaddrinfo": "getaddrinfo(), of the C library",
    "dns": "the turn around it",
    "tcp": "TCP connects",
    "tls": "TLS handshake",
    "http": "HTTP upgrade",
}

UNIX = """
import gc
import socket
import sys
from time import sleep_ms, ticks_diff, ticks_us

import modwebsocket
from modwebsocket import link as link_module

asked = 0

class Sockets:
    # The module, with a stop watch.
    def __getattr__(self, name):
        return getattr(socket, name)
    def getaddrinfo(self, *args):
        global asked
        began = ticks_us()
        found = socket.getaddrinfo(*args)
        asked = ticks_diff(ticks_us(), began)
        return found

link_module.socket = Sockets()
url, ca, count = sys.argv[1:]
options = {"cadata": ca} if url.startswith("wss:") else {}
for _ in range(int(count)):
    gc.collect()
    longest = {}
    began = ticks_us()
    link = modwebsocket.Link(url, lambda event, data: None, **options)
    longest["make"] = ticks_diff(ticks_us(), began)
    while link.stage != "open":
        stage = link.stage
        asked = 0
        began = ticks_us()
        modwebsocket.step(0)
        took = ticks_diff(ticks_us(), began)
        if asked:
            longest["getaddrinfo"] = asked
        longest[stage] = max(longest.get(stage, 0), took - asked)
        assert not link.cause, (link.cause, link.text)
        sleep_ms(1)
    print(longest)
    link.abort("enough")
    modwebsocket.run()
"""

BOARD = """
import gc
from time import sleep_ms
import lx106
import modwebsocket
from modwebsocket import pump
pump.Timer = None
pump._exposed = False
for _ in range({count}):
    gc.collect()
    print("make")
    lx106.bench_begin()
    link = modwebsocket.Link({url!r}, lambda event, data: None)
    lx106.bench_end()
    while link.stage != "open":
        print(link.stage)
        lx106.bench_begin()
        modwebsocket.step(0)
        lx106.bench_end()
        sleep_ms(1)
    link.abort("enough")
    while modwebsocket.step(0):
        sleep_ms(1)
"""


def on_unix(scheme):
    """[{step: µs of the longest turn}] of each connect on this machine."""
    with Server() as server:
        url = server.url(scheme, "text", 0, 0).replace("127.0.0.1", "localhost")
        out = subprocess.run(
            [MICROPYTHON, "-X", "heapsize=1M", "-c", UNIX, url, server.ca, str(CONNECTS)],
            cwd=BUILD, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout
    return [eval(line) for line in out.splitlines()]


def on_board():
    """[{step: instructions of the longest turn}] of each connect on the emulated board."""
    server = BoardServer(16, orders_each=0)
    found = []
    with Counter() as board:
        out = board.exec(BOARD.format(count=BOARD_CONNECTS, url=server.url))
        counts = board.counts()
        server.close()
    steps = [line.strip() for line in out.splitlines() if line.strip() in STEPS]
    for step, count in zip(steps, counts, strict=True):
        if step == "make":
            found.append({})
        found[-1][step] = max(found[-1].get(step, 0), count)
    return found


def show(title, found):
    """Print a line for each step; returns (the median of the longest turns, its step)."""
    print(title)
    medians = {}
    for step, name in STEPS.items():
        took = [connect[step] for connect in found if step in connect]
        if took:
            medians[step] = statistics.median(took)
            print(f"  {name:32} {medians[step]:9,.0f} {max(took):9,.0f}")
    longest = max((step for step in medians if step != "getaddrinfo"), key=medians.get)
    return round(medians[longest]), longest


def main():
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="into docs/speed.md")
    options = parser.parse_args()
    found = {}
    for scheme in ("ws", "wss"):
        found[scheme] = show(f"longest turn while {scheme}:// connects, µs: median, worst of "
                             f"{CONNECTS}", on_unix(scheme))
    found["board"] = show("the same on the emulated board, instructions: median, worst of "
                          f"{BOARD_CONNECTS}", on_board())
    if options.write:
        figures.write({f"turn {what}": f"{n:,} (`{step}`)".replace(",", " ")
                       for what, (n, step) in found.items()}, figures.DOCS / "speed.md")


if __name__ == "__main__":
    main()
