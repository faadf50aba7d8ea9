"""Fuzz: run the targets of tests/fuzz for a while, and replay what they found before.

usage: fuzz.py [--seconds N] [--keep] [TARGET...]

seconds: in all, by the clock; 0 replays only. keep: afterwards, put what reaches new code into
tests/fuzz/corpus.

A target starts from tests/fuzz/corpus/TARGET, from the vectors, and from what it found in earlier
runs, which build/fuzz/corpus/TARGET has.  Ends with 1 if an input crashes, and says which.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build")) / "fuzz"
TARGETS = ("codec", "connection", "decoder", "kernels", "request", "response", "url")

sys.path.insert(0, str(ROOT / "tests"))
from core import model  # noqa: E402

# One input is done in well under a millisecond, on a bad day in a few.
INPUT_TIMEOUT_S = 20
LONGEST = 4096  # bytes of an input

OPENED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

# A stack of the interpreter says little; what an input freed the next one does not use.
ASAN_OPTIONS = "quarantine_size_mb=1:malloc_context_size=2:detect_leaks=0:allow_addr2line=1"


def seeds(target):
    """The vectors as inputs of a target: see the heads of tests/fuzz/*."""
    for vector in model.parse_vectors(ROOT / "tests" / "vectors"):
        server = vector.role == "server"
        limited = vector.limit < 65536
        limit = (vector.limit if limited else 0).to_bytes(2, "little")
        flags = server | limited << 1
        if target == "decoder":
            yield bytes([flags]) + limit + b"\x03\x01\x02\x00" + vector.wire
        elif target == "codec":
            yield bytes([flags]) + limit + b"\x00\x00\x07\x00" + vector.wire
        elif target == "response" and not server:
            yield b"\x00\x07" + OPENED + vector.wire


def folders(target):
    """Makes the folders that a target takes inputs from; new ones go to the first."""
    found = BUILD / "corpus" / target
    made = BUILD / "seeds" / target
    for folder in (found, made):
        folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(seeds(target)):
        if len(seed) <= LONGEST:
            (made / str(i)).write_bytes(seed)
    return [found, made, ROOT / "tests" / "fuzz" / "corpus" / target]


def run(target, inputs, *options):
    """Runs a target; returns (what it printed, the file of the input that crashed or None)."""
    crashes = BUILD / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    command = [
        BUILD / target, f"-artifact_prefix={crashes}/{target}-", f"-timeout={INPUT_TIMEOUT_S}",
        f"-max_len={LONGEST}", *options, *inputs,
    ]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, "ASAN_OPTIONS": ASAN_OPTIONS},
    )
    if done.returncode == 0:
        return done.stdout, None
    written = re.findall(r"Test unit written to (\S+)", done.stdout)
    return done.stdout, Path(written[-1]) if written else Path("")


def fuzz(target, seconds):
    """Fuzzes a target; prints what came of it.  Returns whether no input crashed."""
    limit = f"-max_total_time={seconds}" if seconds else "-runs=0"
    printed, crash = run(target, folders(target), limit)
    if crash is None:
        done = re.findall(r"^#(\d+)\s+(?:DONE|INITED).*?ft: (\d+) corp: (\d+)/", printed, re.M)
        inputs, features, corpus = done[-1]
        print(f"{target}: {inputs} inputs, {features} features in {corpus}", flush=True)
        return True
    cause = re.search(r"Traceback \(most|==ERROR|.*runtime error:|.*expected", printed)
    print(printed[cause.start() :][:4000] if cause else printed[-2000:])
    print(f"{target}: CRASH, replay it with\n    ASAN_OPTIONS=allow_addr2line=1 "
          f"{os.path.relpath(BUILD / target)} {os.path.relpath(crash)}", flush=True)
    return False


def keep(target):
    """Puts into the corpus what it lacks: the shortest inputs that reach other code."""
    found, vectors, corpus = folders(target)
    with tempfile.TemporaryDirectory() as merged:
        for file in (*vectors.iterdir(), *corpus.iterdir()):
            shutil.copy(file, merged)
        before = set(os.listdir(merged))
        printed, crash = run(target, [merged, found], "-merge=1", "-use_counters=0")
        assert crash is None, printed
        new = set(os.listdir(merged)) - before
        for name in new:
            shutil.copy(Path(merged, name), corpus / name[:8])
    print(f"{target}: {len(new)} new inputs")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=TARGETS)
    args = parser.parse_args()
    unknown = set(args.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    cores = min(os.cpu_count() or 1, len(args.targets))
    rounds = -(-len(args.targets) // cores)
    seconds = args.seconds and max(1, args.seconds // rounds)
    with ThreadPoolExecutor(cores) as pool:
        good = list(pool.map(lambda target: fuzz(target, seconds), args.targets))
    if not all(good):
        return 1
    if args.keep:
        for target in args.targets:
            keep(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
