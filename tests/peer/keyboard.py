"""A person at the prompt of the emulated board."""

from contextlib import suppress


def begin(board, line):
    """Types a line and waits until it runs; returns what was printed before."""
    board.write(f"print('ru' + 'ns'); {line}\r".encode())
    return board.until(b"runs\r\n").decode()


def stop(board):
    """Presses Ctrl-C until the prompt comes; returns what was printed before it."""
    text = b""
    for _ in range(10):
        board.write(b"\x03")
        with suppress(TimeoutError):
            return (text + board.until(b">>> ", 1)).decode()
    raise AssertionError("no prompt")
