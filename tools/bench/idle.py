"""What 100 open connections cost that nobody uses: CPU time and wake-ups of MicroPython.

    build/venv/bin/python tools/bench/idle.py [--seconds N] [--write]

One process serves them by callbacks, another one by asyncio; both are measured meanwhile, by the
kernel. Pings go at their default interval, of which N should be a multiple.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))
import figures  # noqa: E402
from echo import BUILD, MICROPYTHON, Server  # noqa: E402

COUNT = 100
SETTLE_S = 2

SCRIPTS = {
    "callbacks": """
import sys
import modwebsocket
left = {count}
def handler(event, data):
    global left
    if event == 3:
        left -= 1
        if not left:
            print("open")
    elif event == 5:
        sys.exit("a connection has ended")
for _ in range({count}):
    modwebsocket.Link({url!r}, handler)
modwebsocket.run()
""",
    "asyncio": """
import asyncio
from modwebsocket import aio
async def wait():
    async with aio.connect({url!r}) as ws:
        global left
        left -= 1
        if not left:
            print("open")
        await ws.recv()
async def main():
    await asyncio.gather(*(wait() for _ in range(left)))
left = {count}
asyncio.run(main())
""",
}


def usage(process):
    """(ns of CPU time, wake-ups) of a process so far."""
    folder = Path("/proc") / str(process.pid)
    ns = int((folder / "schedstat").read_text().split()[0])
    status = (folder / "status").read_text()
    return ns, int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=30, help="how long to measure")
    parser.add_argument("--write", action="store_true", help="into README.md")
    options = parser.parse_args()
    processes = {}
    with Server() as server:
        url = server.url("ws", "text", 0, 0)
        try:
            for style, script in SCRIPTS.items():
                processes[style] = subprocess.Popen(
                    [MICROPYTHON, "-X", "heapsize=4M", "-c",
                     script.format(url=url, count=COUNT)],
                    cwd=BUILD, stdout=subprocess.PIPE, text=True)
            for style, process in processes.items():
                if process.stdout.readline() != "open\n":
                    sys.exit(f"{style}: failed")
            time.sleep(SETTLE_S)
            before = {style: usage(process) for style, process in processes.items()}
            time.sleep(options.seconds)
            after = {style: usage(process) for style, process in processes.items()}
            if any(process.poll() is not None for process in processes.values()):
                sys.exit("failed")
        finally:
            for process in processes.values():
                process.kill()
                process.wait()
                process.stdout.close()
    found = {}
    for style in processes:
        found[style] = [(b - a) * 60 / options.seconds
                        for a, b in zip(before[style], after[style], strict=True)]
        found[style][0] /= 1e6
        print(f"{COUNT} open idle connections, {style}: {found[style][0]:.0f} ms of CPU time "
              f"({os.uname().machine}), {found[style][1]:.0f} wake-ups a minute")
    if options.write:
        figures.write({"idle": "; ".join(f"{round(ms)} ms, {round(wakes, -1):.0f} wake-ups"
                                         for ms, wakes in found.values())})


if __name__ == "__main__":
    main()
