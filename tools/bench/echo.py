"""Echo over loopback: modwebsocket in MicroPython beside clients of PyPI, one server, one run.

    build/venv/bin/python tools/bench/echo.py [--rounds N] [--peers FOLDER] [--write]

Prints messages per second, for 64 KiB MB/s, the median of N rounds in which every client has its
turn, then user instructions per echo, counted by callgrind: what 300 echoes take more than 100.
Server and client share one CPU: where each has its own, the time that it takes to wake the other
one hides what they do. Each client speaks the TLS that it has, 1.2 or 1.3.

The styles of ours: `callback`, `asyncio` and `blocking` get a new object for each message;
`buffer` is the engine's Connection on a blocking socket, into and from one buffer. Their buffers
are 64 KiB, so that any of the messages fits. Among the goals stands what is the most at 64 KiB: a
client that reads as many bytes and writes a frame made before. With --peers other people's clients
for MicroPython take part: those of board.py.

--write puts the tables into docs/speed.md, and what README.md says of them there.
"""

import argparse
import contextlib
import os
import queue
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trustme

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import figures  # noqa: E402

BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", HERE.parent.parent / "build"))
MICROPYTHON = BUILD / "unix" / "micropython"
OURS = ("callback", "buffer", "asyncio", "blocking")
PYPI = ("picows-uvloop", "picows", "websockets", "aiohttp")
TITLES = {"picows": "picows, asyncio", "picows-uvloop": "picows, uvloop",
          "websockets": "websockets (threads)", "aiohttp": "aiohttp",
          **{style: f"modwebsocket, {style}" for style in OURS}}
HEAP = "heapsize=2M"  # what is live is a small part; a bigger heap only leaves the CPU's cache
TURN_MS = 150  # of one client, in one case
TIMEOUT_S = 120
ANY = 10**9

# Column: kind, bytes, messages in flight, messages that a peer of FOLDER echoes.
CASES = {
    "16 B": ("text", 16, 1, 500),
    "16 B, 32 in flight": ("text", 16, 32, 500),
    "1 KiB": ("text", 1024, 1, 100),
    "1 KiB, 32 in flight": ("text", 1024, 32, 100),
    "64 KiB, MB/s": ("binary", 65536, 1, 4),
}
RAW, RAW_COLUMN, RAW_COUNT = "raw", "64 KiB, MB/s", 3000  # about as long as TURN_MS
COUNTED = {"16 B": ("text", 16, 1), "1 KiB": ("text", 1024, 1)}
FEW, MANY = 100, 300

# (client, column, times at least, of whom)
GOALS = (
    ("callback", "16 B", 1.0, "picows-uvloop"),
    ("callback", "1 KiB", 0.9, "picows-uvloop"),
    ("callback", "16 B", 3.0, "websockets"),
    ("callback", "1 KiB", 3.0, "websockets"),
    ("buffer", "1 KiB", 1.0, "picows-uvloop"),
    ("buffer", "64 KiB, MB/s", 2.0, "websockets"),
    ("asyncio", "16 B", 1.0, "picows"),
    ("asyncio", "1 KiB", 0.85, "picows"),
    ("asyncio", "16 B", 2.0, "aiohttp"),
    ("asyncio", "1 KiB", 2.0, "aiohttp"),
)
COUNT_GOALS = (("callback", "16 B", 8000), ("buffer", "1 KiB", 12000))


class Server:
    """echo_peer.py's server in a process of its own, as a context manager.

    ca: file of the CA that signed its certificate.
    """

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        files = folder / "certificate.pem", folder / "key.pem"
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(files[0])
        certificate.private_key_pem.write_to_path(files[1])
        self._process = subprocess.Popen(
            [sys.executable, HERE / "echo_peer.py", "server", *files],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._ports = dict(zip(("ws", "wss"), self._process.stdout.readline().split(),
                               strict=True))
        self._results = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._process.stdin.close()
        self._folder.cleanup()

    def _listen(self):
        with self._process.stdout:
            for line in self._process.stdout:
                self._results.put(line.split())

    def drop_results(self):
        """Forget what exchanges have yielded."""
        while not self._results.empty():
            self._results.get()

    def result(self, client):
        """[seconds, messages] of the next exchange with a process, anything else if it fails."""
        while True:
            try:
                return self._results.get(timeout=1)
            except queue.Empty:
                if client.poll() is not None:
                    return None

    def url(self, scheme, kind="", *numbers, ms=ANY, count=ANY):
        """Where it exchanges messages, see echo_peer.py; without a kind: those of tell()."""
        root = f"{scheme}://127.0.0.1:{self._ports[scheme]}/"
        return root + "/".join(map(str, (kind, *numbers, ms, count))) if kind else root

    def tell(self, *case, count):
        """What to do with who asks for /."""
        print(*case, ANY, count, sep="/", file=self._process.stdin, flush=True)
        self._results.get(timeout=TIMEOUT_S)


def command(client, argument, urls):
    """The command line of one client's turn.  argument: the CA's file, or how many messages."""
    if client in PYPI:
        program = [sys.executable, HERE / "echo_peer.py"]
    else:
        program = [MICROPYTHON, "-X", HEAP, HERE / "echo_device.py"]
    return [*program, client, argument, *urls]


def turn(client, server, scheme):
    """{column: messages per second, or MB/s} of one client's turn. Raises ValueError."""
    if client not in OURS + PYPI + (RAW,):
        found = {}
        for column, (*case, count) in CASES.items():
            server.tell(*case, count=count)
            found |= exchange(server, command(client, count, [server.url(scheme)]), [column])
        return found
    if client == RAW:
        url = server.url(scheme, *CASES[RAW_COLUMN][:-1], count=RAW_COUNT)
        return exchange(server, command(client, server.ca, [url]), [RAW_COLUMN])
    urls = [server.url(scheme, *case, ms=TURN_MS) for *case, _ in CASES.values()]
    return exchange(server, command(client, server.ca, urls), CASES)


def exchange(server, arguments, columns):
    """{column: messages per second, or MB/s} of one process. Raises ValueError."""
    found = {}
    with subprocess.Popen(arguments_as_text(arguments), cwd=BUILD) as process:
        for column in columns:
            result = server.result(process)
            if not result or len(result) != 2:
                process.kill()
                raise ValueError(f"{column}: failed")
            seconds, messages = result
            found[column] = int(messages) / float(seconds)
            if "MB/s" in column:
                found[column] *= CASES[column][1] / 1e6
        if process.wait(TIMEOUT_S):
            raise ValueError(f"failed ({process.returncode})")
    return found


def arguments_as_text(arguments):
    """For a command line that holds paths and numbers."""
    return [str(argument) for argument in arguments]


def speeds(clients, server, scheme, rounds):
    """{(client, column): the median of all rounds}, without other people's that fail."""
    found = {}
    failed = set()
    for _ in range(rounds):
        for client in clients:
            if client in failed:
                continue
            try:
                for column, speed in turn(client, server, scheme).items():
                    found.setdefault((client, column), []).append(speed)
            except ValueError as e:
                if client in OURS + PYPI + (RAW,):
                    raise
                print(client, e, flush=True)
                failed.add(client)
    return {key: statistics.median(values) for key, values in found.items()}


def counted(client, server, case, count):
    """User instructions of a client that echoes so many messages."""
    if client in OURS + PYPI:
        arguments = command(client, server.ca, [server.url("ws", *case, count=count)])
    else:
        server.tell(*case, count=count)
        arguments = command(client, count, [server.url("ws")])
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}",
             *arguments_as_text(arguments)],
            cwd=BUILD, text=True, timeout=TIMEOUT_S, check=True, capture_output=True)
    if client not in OURS + PYPI:
        server.drop_results()
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def instructions(clients, server, at_once=1):
    """{(client, column): user instructions per echo}."""
    keys = [(client, column) for client in clients for column in COUNTED]
    with ThreadPoolExecutor(at_once) as pool:
        totals = list(pool.map(lambda job: counted(*job), [
            (client, server, COUNTED[column], count)
            for client, column in keys for count in (FEW, MANY)]))
    return {key: (many - few) / (MANY - FEW)
            for key, few, many in zip(keys, totals[::2], totals[1::2], strict=True)}


def print_table(title, clients, columns, table):
    """Print, and return as a list of lines, a Markdown table."""
    lines = ["", f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for client in clients:
        if (client, next(iter(columns))) not in table:
            continue
        cells = (f"{table[client, column]:,.0f}".replace(",", " ") for column in columns)
        lines.append(f"| {TITLES.get(client, Path(client).name)} | " + " | ".join(cells) + " |")
    print(*lines, sep="\n", flush=True)
    return lines


def print_goals(table, counts):
    """Print, and return as a list of lines, what the goals are and whether they are met."""
    lines = [""]
    for client, column, times, other in GOALS:
        ratio = table[client, column] / table[other, column]
        lines.append(f"* {client}, {column}: {ratio:.2f} × {TITLES[other]}; goal ≥ {times}, "
                     f"{figures.verdict(-ratio, -times)}")
    ratio = table[RAW, RAW_COLUMN] / table["websockets", RAW_COLUMN]
    lines.append(f"* no WebSocket at all, {RAW_COLUMN}: {ratio:.2f} × {TITLES['websockets']}")
    for client, column, most in COUNT_GOALS:
        count = round(counts[client, column])
        lines.append(f"* {client}, {column}: {figures.rounded(count)} instructions; goal ≤ "
                     f"{figures.rounded(most)}, {figures.verdict(count, most)}")
    print(*lines, sep="\n")
    return lines


@contextlib.contextmanager
def one_cpu():
    """This process, and those that it starts, share a CPU, before others if they may."""
    cpus = os.sched_getaffinity(0)
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    os.sched_setaffinity(0, {max(cpus)})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    yield
    os.setpriority(os.PRIO_PROCESS, 0, priority)
    os.sched_setaffinity(0, cpus)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="the median counts")
    parser.add_argument("--peers", type=Path, help="folder of other clients for MicroPython")
    parser.add_argument("--write", action="store_true", help="into docs/speed.md and README.md")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing: install the package valgrind")
    others = sorted(options.peers.resolve().glob("bench_*.py")) if options.peers else ()
    peers = tuple(str(path.with_name(path.stem.removeprefix("bench_"))) for path in others)
    clients = OURS + PYPI

    print(f"echo over loopback, messages/s, median of {options.rounds}; server: picows, uvloop")
    with one_cpu(), Server() as server:
        table = speeds(clients + peers + (RAW,), server, "ws", options.rounds)
        lines = print_table("ws", clients + peers, CASES, table)
        secure = speeds(clients, server, "wss", options.rounds)
        lines += print_table("wss", clients, CASES, secure)
    with Server() as server:
        counts = instructions(clients, server, os.cpu_count())
        working = [peer for peer in peers if any(peer in key for key in table)]
        counts |= instructions(working, server)
    lines += print_table("user instructions per echo, x86-64", clients + peers, COUNTED, counts)
    lines += print_goals(table, counts)
    if options.write:
        figures.write({"echo": "\n".join(lines) + "\n"}, figures.DOCS / "speed.md")
        pairs = {client: [figures.rounded(counts[client, column]) for column in COUNTED]
                 for client in OURS + PYPI}
        figures.write({f"echo {client}": ", ".join(pair) for client, pair in pairs.items()})
        figures.write({f"speed {client}": ", ".join(
            f"{table[client, column] / table[other, column]:.1f}" for column in COUNTED)
            for client, other in (("callback", "picows-uvloop"), ("asyncio", "picows"))})


if __name__ == "__main__":
    main()
