"""The modules that have the numbers of events.py compiled in agree with it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*(ROOT / "modwebsocket").glob("*.py"), *(ROOT / "lua_compat").glob("*.py")]


def constants(source):
    """{name: value} of the module's `NAME = number` and `NAME = const(number)`."""
    found = {}
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Assign):
            value = node.value
            if isinstance(value, ast.Call) and ast.unparse(value.func) == "const":
                value = value.args[0]
            try:
                found[ast.unparse(node.targets[0])] = ast.literal_eval(value)
            except ValueError:
                pass
    return found


EVENTS = constants(ROOT / "modwebsocket" / "events.py")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_numbers_are_those_of_events(source):
    ours = {name[1:]: value for name, value in constants(source).items() if name[0] == "_"}
    for name in ours.keys() & EVENTS.keys():
        assert ours[name] == EVENTS[name], name


def test_there_is_something_to_compare():
    ours = constants(ROOT / "modwebsocket" / "connection.py")
    assert {"_OPEN", "_PONG", "_NOT_TAKEN"} <= ours.keys() and len(EVENTS) > 15
