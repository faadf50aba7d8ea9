"""The device scripts: every test function of tests/device/mp_*.py, inside MicroPython.

Each function runs on every target, in a process of its own.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
DEVICE = TESTS / "device"
VECTORS = "mp_vectors"  # a program of its own: no functions, but arguments

LONGEST_WIRE = {"lx106": 1000}  # of the vectors, bytes


def functions():
    """(script, function) of every test; (script, None) for a script without any."""
    for script in sorted(DEVICE.glob("mp_*.py")):
        if script.stem != VECTORS:
            names = [node.name for node in ast.parse(script.read_text()).body
                     if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
            for name in names or [None]:
                yield pytest.param(script.stem, name, id=f"{script.stem}-{name}")


def check(result, last_line):
    if result.status != 0 or result.lines[-1:] != [last_line]:
        printed = "\n".join([*result.lines[-60:], result.errors])
        pytest.fail(f"exit status {result.status}\n{printed}", pytrace=False)


@pytest.mark.parametrize(("script", "function"), list(functions()))
def test_device(target, script, function):
    assert function, f"tests/device/{script}.py has no test function"
    check(target.run(DEVICE / "run.py", script, function), f"ok {function}")


def test_vectors(target):
    longest = [LONGEST_WIRE[target.name]] if target.name in LONGEST_WIRE else []
    result = target.run(DEVICE / f"{VECTORS}.py", TESTS / "vectors", *longest, timeout_s=60)
    check(result, result.lines[-1] if result.lines else "a report")
