"""The fuzzers find what is planted, and their corpus stays good.

`make test` runs them afterwards, see tools/fuzz.py.
"""

import os
import subprocess
from pathlib import Path

import fuzz  # tools/fuzz.py
import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "modwebsocket" / "wscore"

# Mistakes in wscore.c: (what is there, what is there instead).
PLANTED = {
    "reads behind the end": (
        "pos < 2 && len > 0; pos++",
        "pos < 2; pos++",
    ),
    "forgets that a message is unfinished": (
        "} else if (d->message_opcode != 0) {",
        "} else if (0) {",
    ),
    "depends on how the bytes come": (
        "uint32_t state = ws_utf8(d->text_state, data, len);",
        "uint32_t state = ws_utf8(0, data, len);",
    ),
}


def find(program, folder):
    """Fuzzes from nothing until it crashes; returns what it printed."""
    done = subprocess.run(
        [program, f"-artifact_prefix={folder}/", "-max_total_time=60", folder], check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, "ASAN_OPTIONS": fuzz.ASAN_OPTIONS},
    )
    assert done.returncode != 0, f"nothing found\n{done.stdout[-2000:]}"
    return done.stdout


@pytest.mark.parametrize("mistake", PLANTED)
def test_fuzzer_finds_a_mistake_planted_in_the_decoder(mistake, tmp_path):
    text = (CORE / "wscore.c").read_text()
    right, wrong = PLANTED[mistake]
    assert text.count(right) == 1
    (tmp_path / "wscore.c").write_text(text.replace(right, wrong))
    program = tmp_path / "decoder"
    subprocess.run(
        ["clang-14", "-O1", "-fsanitize=fuzzer,address", f"-I{CORE}", f"-I{ROOT / 'tests/core'}",
         ROOT / "tests/fuzz/decoder.c", tmp_path / "wscore.c", "-o", program], check=True,
    )
    (tmp_path / "found").mkdir()
    find(program, tmp_path / "found")


def test_fuzzer_sees_the_branches_of_python(tmp_path):
    printed = find(fuzz.BUILD / "planted", tmp_path)
    assert "AssertionError: found" in printed


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_corpus_is_good(target):
    printed, crash = fuzz.run(target, fuzz.folders(target)[1:], "-runs=0")
    assert crash is None, printed[-4000:]
