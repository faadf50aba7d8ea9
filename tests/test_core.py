"""The C core on this machine: vectors, kernels, generated streams; and how it compiles for chips.

The programs in tests/core do the checking; what they print is shown when one fails.
"""

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from core import model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
# Each of those that test at once has its own.
BUILD = (Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build")) / "core"
         / os.environ.get("PYTEST_XDIST_WORKER", "alone"))
CORE = ROOT / "modwebsocket" / "wscore"
VECTORS = ROOT / "tests" / "vectors"

WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover", "-g", "-O1"]

# Vectors of the processor are used on 64-bit machines only, words on all others.
HOSTS = {
    "64-bit": SANITIZERS,
    "32-bit": [*SANITIZERS, "-m32"],
    "64-bit-optimized": ["-O3"],
    "32-bit-optimized": ["-Os", "-m32"],
    "32-bit-small": [*SANITIZERS, "-m32", "-DWS_SMALL=1"],
}

RV32 = ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"]
LX106 = ["xtensa-lx106-elf-gcc", "-mlongcalls", "-mtext-section-literals"]
TARGETS = {
    "x86-64": ["cc", "-O2"],
    "x86-64-small": ["cc", "-Os"],
    "x86": ["cc", "-m32", "-O2"],
    "lx106": [*LX106, "-Os", "-mforce-l32"],
    "lx106-fast": [*LX106, "-O2"],
    "rv32imc": [*RV32, "-Os"],
    "rv32imc-fast": [*RV32, "-O2"],
}

# Where the tools come from, in Debian's words.
PACKAGES = {
    "cc": "gcc",
    "size": "binutils",
    "nm": "binutils",
    "xtensa-lx106-elf-gcc": "gcc-xtensa-lx106",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
}


def run(*command):
    """Runs a program that must succeed; returns what it printed."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        package = PACKAGES.get(command[0], "another one")
        pytest.fail(f"{command[0]} is missing: install the Debian package {package}")
    if done.returncode != 0:
        hint = ""
        if "-m32" in command and "No such file" in done.stderr:
            hint = "\n(32-bit headers are in the Debian package gcc-multilib)"
        pytest.fail(f"{' '.join(command)}: exit status {done.returncode}\n"
                    f"{done.stdout[-4000:]}{done.stderr[-4000:]}{hint}", pytrace=False)
    return done.stdout


def program(name, host="64-bit"):
    """Compiles tests/core/NAME.c with the core; returns the program."""
    out = BUILD / host / name
    out.parent.mkdir(parents=True, exist_ok=True)
    run("cc", *WARNINGS, *HOSTS[host], f"-I{CORE}", ROOT / "tests" / "core" / f"{name}.c",
        CORE / "wscore.c", "-o", out)
    return out


@pytest.fixture(scope="session")
def run_vectors():
    return program("run_vectors")


# The vectors


def test_vector_names_are_unique_and_begin_with_the_role():
    vectors = model.parse_vectors(VECTORS)
    names = [vector.name for vector in vectors]
    assert len(set(names)) == len(names) > 100
    assert [v.name for v in vectors if v.name.split("_")[0] != v.role] == []


def test_model_decodes_the_vectors_as_expected():
    wrong = [v.name for v in model.parse_vectors(VECTORS)
             if model.decode(v.role, v.limit, v.wire) != v.events]
    assert wrong == []


@pytest.mark.parametrize("host", HOSTS)
def test_core_decodes_the_vectors_as_expected(host):
    run(program("run_vectors", host), VECTORS)


# The kernels


@pytest.mark.parametrize("host", HOSTS)
def test_kernels_equal_plain_code(host, tmp_path):
    def accept(key):
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        return base64.b64encode(digest).decode()

    keys = [bytes((length + 37 * i) % 256 for i in range(length)) for length in range(201)]
    pairs = tmp_path / "accept_keys"
    pairs.write_text("".join(f"{key.hex() or '-'} {accept(key)}\n" for key in keys))
    run(program("test_kernels", host), pairs)


def test_utf8_table_is_the_generated_one():
    run(sys.executable, ROOT / "tools" / "utf8_table.py", "--check")


# How it compiles


@pytest.mark.parametrize("target", TARGETS)
def test_core_compiles_clean_without_data_or_library(target):
    out = BUILD / f"wscore-{target}.o"
    out.parent.mkdir(parents=True, exist_ok=True)
    # Freestanding: no library on the chips' side is installed, and none may be needed.
    run(*TARGETS[target], *WARNINGS, "-Wdouble-promotion", "-Wfloat-conversion", "-ffreestanding",
        "-c", CORE / "wscore.c", "-o", out)
    text, data, bss = map(int, run("size", out).splitlines()[1].split()[:3])
    assert text > 0 and data == 0 and bss == 0
    undefined = {line.split()[-1] for line in run("nm", "-u", out).splitlines()}
    # In a shared position 32-bit x86 finds its own address through this one.
    undefined -= {"_GLOBAL_OFFSET_TABLE_"}
    assert undefined <= {"memcpy", "memmove", "memset"}


# Generated streams: what hypothesis finds is a line for the vectors file.

# Pieces that make and break characters more often than random bytes do.
TEXT_PIECES = st.sampled_from([
    b"", b"a", b"hello world, ", b"\xc3\xa9", b"\xe2\x82\xac", b"\xf0\x9f\x99\x82",
    b"\xed\x9f\xbf", b"\xf4\x8f\xbf\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\x80", b"\xa0",
])
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.lists(TEXT_PIECES, max_size=12).map(b"".join),
    st.integers(120, 300).map(lambda n: b"x" * n),
)
KEYS = st.binary(min_size=4, max_size=4)
CODES = st.one_of(st.integers(0, 65535), st.integers(998, 1017), st.sampled_from([3000, 4999]))
CLOSES = st.one_of(
    st.just(b""),
    st.tuples(CODES, PAYLOADS).map(lambda c: c[0].to_bytes(2, "big") + c[1][:123]),
)
ROLES = st.sampled_from(["client", "server"])


@st.composite
def good_streams(draw, role):
    """(wire, events): messages in fragments, with pings and pongs between, all allowed."""
    def frame(first, payload):
        return model.encode(first, payload, draw(KEYS) if role == "server" else None)

    wire = b""
    events = []
    for _ in range(draw(st.integers(0, 4))):
        opcode = draw(st.sampled_from([model.TEXT, model.BINARY]))
        fragments = [draw(PAYLOADS) for _ in range(draw(st.integers(1, 4)))]
        if opcode == model.TEXT:
            whole = b"".join(fragments).decode("utf-8", "replace").encode()
            cuts = sorted(draw(st.integers(0, len(whole))) for _ in fragments[1:])
            fragments = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        for i, fragment in enumerate(fragments):
            for kind in draw(st.lists(st.sampled_from([model.PING, model.PONG]), max_size=2)):
                payload = draw(PAYLOADS)[:125]
                wire += frame(0x80 | kind, payload)
                events.append((model.NAMES[kind], payload))
            fin = 0x80 if i == len(fragments) - 1 else 0
            wire += frame(fin | (opcode if i == 0 else model.CONTINUATION), fragment)
        events.append((model.NAMES[opcode], b"".join(fragments)))
    return wire, events


@st.composite
def any_streams(draw, role):
    """Frames that are mostly allowed, then damage."""
    wire = bytearray(draw(good_streams(role))[0])
    firsts = st.one_of(st.sampled_from([0, 1, 2, 128, 129, 130, 137, 138]), st.integers(0, 255))
    for _ in range(draw(st.integers(0, 3))):
        key = draw(KEYS) if role == "server" else None
        wire += model.encode(draw(firsts), draw(PAYLOADS), key)
    if draw(st.booleans()):
        wire += model.encode(0x88, draw(CLOSES), draw(KEYS) if role == "server" else None)
    for _ in range(draw(st.integers(0, 2))):
        if wire:
            at = draw(st.integers(0, len(wire) - 1))
            damage = draw(st.sampled_from(["set", "cut", "insert"]))
            if damage == "cut":
                del wire[at:at + draw(st.integers(1, 4))]
            elif damage == "insert":
                wire[at:at] = draw(st.binary(max_size=4))
            else:
                wire[at] = draw(st.integers(0, 255))
    return bytes(wire or b"\x81")


def check_generated(run_vectors, vectors):
    path = BUILD / "generated_vectors"
    path.write_text("".join(vector.line() + "\n" for vector in vectors))
    run(run_vectors, path)


GENERATED = settings(max_examples=100, deadline=None,
                     suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@GENERATED
@given(st.data(), ROLES)
def test_core_decodes_every_allowed_stream(run_vectors, data, role):
    wire, events = data.draw(good_streams(role))
    limit = max((len(event[1]) for event in events), default=0)
    assert model.decode(role, limit, wire) == events
    if wire:
        check_generated(run_vectors, [model.Vector("generated", role, limit, wire, events)])


@GENERATED
@given(st.data(), ROLES, st.one_of(st.just(model.NO_LIMIT), st.integers(0, 400)))
def test_core_treats_damaged_streams_as_the_model_does(run_vectors, data, role, limit):
    vectors = []
    for _ in range(3):
        wire = data.draw(any_streams(role))
        vectors.append(model.Vector("generated", role, limit, wire,
                                    model.decode(role, limit, wire)))
    check_generated(run_vectors, vectors)
