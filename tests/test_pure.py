"""The core in Python (wscore/_wscore.py) is as the one in C, on this machine and on the board."""

from pathlib import Path

import pytest
from test_device import DEVICE, TESTS, VECTORS, check, functions

CORE = TESTS.parent / "modwebsocket" / "wscore"
CORPUS = sorted(Path(f) for f in (TESTS / "fuzz" / "corpus").glob("*codec/*"))

# Of the vectors, bytes: what takes a second here, and on the board.
LONGEST_WIRE = 1000
LONGEST_WIRE_ON_BOARD = 60


# But those that find that nothing is allocated: in Python everything is.
TESTED = [p for p in functions() if p.values[0] != "mp_heap"]


@pytest.mark.parametrize(("script", "function"), TESTED)
def test_device(pure, script, function):
    check(pure.run(DEVICE / "run.py", script, function), f"ok {function}")


def test_vectors(pure):
    result = pure.run(DEVICE / f"{VECTORS}.py", TESTS / "vectors", LONGEST_WIRE, timeout_s=60)
    check(result, result.lines[-1] if result.lines else "a report")


def test_vectors_on_the_board(pure_board):
    result = pure_board.run(DEVICE / f"{VECTORS}.py", TESTS / "vectors",
                            LONGEST_WIRE_ON_BOARD, timeout_s=50)
    check(result, result.lines[-1] if result.lines else "a report")


@pytest.mark.parametrize("seed", [1, 2])
def test_both_cores_say_the_same(unix, seed):
    result = unix.run(DEVICE / "same.py", CORE / "_wscore.py", seed, 700,
                      *(CORPUS if seed == 1 else ()), timeout_s=60, heap="16m")
    assert (result.status, result.lines, result.errors) == (0, ["the same"], "")


def test_modwebsocket_tells_which_core_it_has(unix, pure):
    script = "import modwebsocket; print(modwebsocket.native)"
    assert unix.run(script).lines == ["True"]
    assert pure.run(script).lines == ["False"]


def test_sha1_is_that_of_hashlib(pure):
    result = pure.run("""
        import hashlib
        from _sha1 import sha1
        for n in range(140):
            data = bytes((i * 7 + n) & 255 for i in range(n))
            assert sha1(data) == hashlib.sha1(data).digest(), n
        """)
    assert (result.status, result.errors) == (0, "")
