"""Echo over loopback: modwebsocket in MicroPython beside clients of PyPI, one server, one run.

    build/venv/bin/python tools/bench/echo.py [--runs N] [--no-instructions]

Prints messages per second (small messages) and MB/s (big ones), the median of N rounds in
which every client has its turn, then user instructions per echo, counted by callgrind.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", HERE.parent.parent / "build"))
PEERS = ("websockets", "aiohttp", "picows", "picows-uvloop")
OURS = "modwebsocket"
OURS_BIG = "modwebsocket, 64 KiB buffers"
BUFFER_LEN = {OURS: 0, OURS_BIG: 65552}
TIMEOUT_S = 120

# (title, message length in bytes, negative: text; messages; in flight; unit)
CASES = (
    ("16 B text", -16, 8000, 1, "/s"),
    ("16 B, 32 in flight", -16, 20000, 32, "/s"),
    ("1 KiB text", -1024, 8000, 1, "/s"),
    ("64 KiB binary", 65536, 800, 1, "MB/s"),
    ("1 MiB binary", 1 << 20, 60, 1, "MB/s"),
)
# The clients that ours has to be twice as fast as.
GOAL_FACTOR, GOAL_PEERS = 2, ("websockets", "aiohttp")


def command(client, url, length, count, window):
    """The command line of one client's turn."""
    arguments = [url, str(length), str(count), str(window)]
    if client in PEERS:
        return [sys.executable, HERE / "echo_peer.py", client, *arguments]
    # Four messages and their collector's work fit; a bigger heap only leaves the cache.
    heap = f"heapsize={max(1, 8 * abs(length) >> 20) * 2}M"
    device = [BUILD / "unix" / "micropython", "-X", heap, HERE / "echo_device.py"]
    return [*device, *arguments, str(BUFFER_LEN[client])]


def run(arguments, **options):
    """Run a command outside the repository; its output as text."""
    done = subprocess.run(
        [str(a) for a in arguments], cwd=BUILD, text=True, timeout=TIMEOUT_S, check=False,
        stdout=subprocess.PIPE, **options,
    )
    if done.returncode:
        sys.exit(f"failed ({done.returncode}): {' '.join(str(a) for a in arguments)}")
    return done.stdout


def speed(client, url, case):
    """Messages per second, or MB/s, of one turn."""
    _, length, count, window, unit = case
    seconds, messages = run(command(client, url, length, count, window)).split()
    per_second = int(messages) / float(seconds)
    return per_second * abs(length) / 1e6 if unit == "MB/s" else per_second


def instructions(client, url, length):
    """User instructions per echo: what 300 echoes take more than 100."""
    totals = []
    for count in (100, 300):
        out = BUILD / f"callgrind.{count}"
        text = run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
             *command(client, url, length, count, 1)],
            stderr=subprocess.STDOUT,
        )
        out.unlink(missing_ok=True)
        totals.append(int(re.search(r"Collected : (\d+)", text).group(1)))
    return (totals[1] - totals[0]) / 200


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="rounds, the median counts")
    parser.add_argument("--no-instructions", action="store_true", help="speeds only")
    options = parser.parse_args()
    if not options.no_instructions and not shutil.which("valgrind"):
        sys.exit("valgrind is missing: install the package valgrind")
    clients = (*PEERS, OURS, OURS_BIG)
    server = subprocess.Popen(
        [sys.executable, HERE / "echo_peer.py", "server"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/"
        print(f"echo over loopback, one server (picows, uvloop), median of {options.runs}\n")
        print("| client | " + " | ".join(f"{c[0]}, {c[4]}" for c in CASES) + " |")
        print("|---" * (len(CASES) + 1) + "|")
        rounds = [
            [[speed(client, url, case) for case in CASES] for client in clients]
            for _ in range(options.runs)
        ]
        table = {
            client: [statistics.median(r[i][j] for r in rounds) for j in range(len(CASES))]
            for i, client in enumerate(clients)
        }
        for client in clients:
            print(f"| {client} | " + " | ".join(f"{v:,.0f}" for v in table[client]) + " |")
        for j, case in enumerate(CASES):
            best = max(table[OURS][j], table[OURS_BIG][j])
            ratios = [best / table[peer][j] for peer in GOAL_PEERS]
            verdict = "met" if min(ratios) >= GOAL_FACTOR else "not met"
            print(
                f"goal {case[0]}: at least {GOAL_FACTOR}x {' and '.join(GOAL_PEERS)}: "
                f"{verdict} ({', '.join(f'{r:.1f}x' for r in ratios)})"
            )
        if not options.no_instructions:
            print("\nuser instructions per echo, x86-64, callgrind\n")
            print("| client | 16 B text | 1 KiB text |\n|---|---|---|")
            for client in (*PEERS, OURS):
                counts = [instructions(client, url, length) for length in (-16, -1024)]
                print(f"| {client} | " + " | ".join(f"{c:,.0f}" for c in counts) + " |")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
