"""The device scripts: every test function of tests/device/mp_*.py, inside MicroPython.

Each function runs on every target, in a process of its own.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
DEVICE = TESTS / "device"
VECTORS = "mp_vectors"  # a program of its own: no functions, but arguments
EVERYWHERE = pytest.mark.parametrize("target", ["unix", "stock", "lx106"], indirect=True)

# What these tests handle themselves does not fit the board: data of some kilobytes, several times;
# and calls nested more deeply than its stack allows.
TOO_BIG = {
    "lx106": {
        "test_a_full_queue_takes_nothing",
        "test_a_queued_buffer_may_be_modified_at_once",
        "test_a_stream_that_calls_its_codec_is_refused",
        "test_client_allocates_only_the_message",
        "test_client_fails_on_a_bad_response",
        "test_client_sends",
        "test_connect_in_the_close_handler_is_safe",
        "test_connection_sends",
        "test_data_behind_own_close_is_not_delivered",
        "test_empty_continuations_behind_a_big_fragment_allocate_nothing",
        "test_endless_headers_are_refused",
        "test_headers_longer_than_the_receive_buffer_are_skipped",
        "test_host_and_port_are_at_most_255_characters",
        "test_large_immutable_goes_by_reference_and_blocks_what_follows",
        "test_link_allocates_only_the_message",
        "test_link_sends",
        "test_messages_pass_in_both_directions",
        "test_no_memory_fails_with_1009",
        "test_nothing_is_lost_or_reordered_at_any_size_and_split",
        "test_senders_buffer_is_never_modified",
        "test_the_queue_keeps_the_order",
        "test_what_waits_by_reference_is_kept_alive",
    },
}
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


@EVERYWHERE
@pytest.mark.parametrize(("script", "function"), list(functions()))
def test_device(target, script, function):
    if function in TOO_BIG.get(target.name, ()):
        pytest.skip("too big for this target")
    assert function, f"tests/device/{script}.py has no test function"
    check(target.run(DEVICE / "run.py", script, function), f"ok {function}")


@EVERYWHERE
def test_vectors(target):
    longest = [LONGEST_WIRE[target.name]] if target.name in LONGEST_WIRE else []
    result = target.run(DEVICE / f"{VECTORS}.py", TESTS / "vectors", *longest, timeout_s=60)
    check(result, result.lines[-1] if result.lines else "a report")
