"""`mpremote` at work on the emulated board, through a pseudo-terminal as through a USB cable."""

import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
import tty
from contextlib import contextmanager

import pytest

# Says hello, then echoes.
APP = """
import websocket

ws = websocket.createClient()
ws.on("connection", lambda ws: ws.send("hello"))
ws.on("receive", lambda ws, message: ws.send(message))
ws.connect("{url}")
"""


class Mpremote:
    """The tool, connected to a board. folder: its current directory."""

    def __init__(self, board, folder):
        said = board.until(b" (label serial0)").decode()
        self._device = re.search(r"/dev/pts/\d+", said)[0]
        self.folder = folder
        # QEMU looks once a second whether somebody has opened the line, so it stays open.
        self._held = os.open(self._device, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._held)

    def command(self, *words):
        """The command line: `mpremote`, connected, with words."""
        return [sys.executable, "-m", "mpremote", "connect", self._device, *map(str, words)]

    def __call__(self, *words):
        """Runs a command and returns what it printed, as lines."""
        done = subprocess.run(self.command(*words), cwd=self.folder, capture_output=True,
                              text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout.splitlines()

    def upload(self, name, text):
        """Copies text to a file of the board."""
        (self.folder / name).write_text(text)
        self("cp", name, f":{name}")

    @contextmanager
    def repl(self):
        """`mpremote repl`, with a Person at its keyboard, who ends it."""
        keyboard, terminal = pty.openpty()
        tty.setraw(terminal)
        with subprocess.Popen(self.command("resume", "repl"), stdin=terminal, stdout=terminal,
                              stderr=terminal) as process:
            os.close(terminal)
            try:
                yield Person(keyboard)
                assert process.wait(10) == 0
            finally:
                process.kill()
                os.close(keyboard)

    def close(self):
        os.close(self._held)


class Person:
    """Types and reads at a terminal."""

    def __init__(self, terminal):
        self._terminal = terminal

    def type(self, keys):
        """Presses keys (bytes)."""
        os.write(self._terminal, keys)

    def until(self, pattern, timeout_s=10):
        """Reads until what came since the last call matches pattern."""
        text = b""
        end = time.monotonic() + timeout_s
        while not re.search(pattern, text):
            left = end - time.monotonic()
            assert select.select([self._terminal], [], [], max(0, left))[0], text
            text += os.read(self._terminal, 1000)


@pytest.fixture
def mpremote(start_board, tmp_path):
    mpremote = Mpremote(start_board(serial="pty"), tmp_path)
    yield mpremote
    mpremote.close()


@pytest.fixture
def echo(serve):
    """A server for APP. echoed: an Event, set after a round trip."""
    echoed = threading.Event()

    async def handler(peer):
        assert await peer.recv() == "hello"
        await peer.send("to the board and back")
        assert await peer.recv() == "to the board and back"
        echoed.set()
        return await peer.recv()

    server = serve(handler, "websockets", wait_s=60)
    server.echoed = echoed
    return server


def test_mpremote_runs_code(mpremote):
    assert mpremote("eval", "6 * 7") == ["42"]
    assert mpremote("exec", "import modwebsocket as m; print(m.__name__)") == ["modwebsocket"]
    (mpremote.folder / "script.py").write_text("import websocket\nprint(websocket.__name__)\n")
    assert mpremote("run", "script.py") == ["websocket"]


def test_mpremote_copies_both_ways(mpremote):
    data = bytes(range(256)) * 12
    (mpremote.folder / "data").write_bytes(data)
    mpremote("cp", "data", ":data")
    assert mpremote("exec", "import os; print(os.stat('data')[6])") == [str(len(data))]
    mpremote("cp", ":data", "back")
    assert (mpremote.folder / "back").read_bytes() == data


def test_app_runs_from_a_mounted_folder(mpremote, echo):
    folder = mpremote.folder / "mounted"
    folder.mkdir()
    (folder / "app.py").write_text(APP.format(url=echo.board_url))
    (folder / "script.py").write_text("""
import os
import app

def receive(ws, message):
    ws.send(message)
    ws.close()

app.ws.on("receive", receive)
while app.ws.stage is None:
    pass
print(os.getcwd(), app.ws.stage)
""")
    lines = mpremote("mount", folder, "exec", "import script")
    assert lines[-1] == "/remote closing"
    assert echo.echoed.wait(10)
    assert echo.result() is None


def test_uploaded_app_runs_from_main_after_a_soft_reset(mpremote, echo):
    mpremote.upload("main.py", APP.format(url=echo.board_url))
    # `mpremote soft-reset` leaves main.py alone; a person at the prompt types Ctrl-D.
    with mpremote.repl() as person:
        person.until(rb"exit this shell")
        person.type(b"\x04")
        person.until(rb"soft reboot\r\n[^>]*>>> ")
        assert echo.echoed.wait(10)
        person.type(b"\x1d")
    # The app goes on while the tool does other things.
    assert mpremote("resume", "eval", "ws.stage") == ["None"]
    mpremote("resume", "soft-reset")
    assert echo.result() is None
    assert mpremote("resume", "eval", "'ws' in globals()") == ["False"]


def test_uploaded_app_runs_from_main_after_a_reset(mpremote, echo):
    mpremote.upload("main.py", APP.format(url=echo.board_url))
    mpremote("reset")
    assert echo.echoed.wait(10)
    mpremote("resume", "exec", "ws.close()")
    assert echo.result() is None
