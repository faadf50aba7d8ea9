"""The core in Python on a network: a few of the other files' tests, on a stock interpreter.

On the emulated board: the core in its RAM, the rest in the firmware.
"""

import pytest
from peer.test_echo import test_client_sends_200_back_to_back_in_order  # noqa: F401
from peer.test_frames import *  # noqa: F403
from peer.test_readme import (  # noqa: F401
    echo,
    program,
    say_more,
    test_readme_program,
    test_readme_server,
)
from peer.test_tls import (  # noqa: F401
    engine,
    test_frames_in_one_record_do_not_wait,
    test_many_small_frames_in_one_record_do_not_wait,
)


@pytest.fixture
def target(pure):
    """Where the others' tests run."""
    return pure


@pytest.mark.parametrize("number, server, lines", [
    (0, echo, ["got hello", "closed -6"]),
    (3, say_more, ["hello", "more", "closed 1000"]),
], ids=["nodemcu", "blocking"])
def test_readme_program_on_the_board(serve, pure_board, number, server, lines):
    server = serve(server, "websockets")
    result = pure_board.run(program(number, pure_board.host, server.port))
    server.result()
    assert (result.status, result.lines, result.errors) == (0, lines, "")
