"""`make deploy`: the real `mpremote` puts what is missing and the user's files on the board."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import device
import pytest
import release
from test_mpremote import Mpremote

MICROPYTHON = Path(os.environ["MODWEBSOCKET_MPY_DIR"])

APP = """
import websocket

ws = websocket.createClient()
ws.on("connection", lambda ws: ws.send("hello"))
ws.connect("{url}")
"""

# What a firmware without our Python modules has: their names are not found where it freezes.
STOCK = "import sys\n\nsys.path.remove('.frozen')\n"


@pytest.fixture
def mpremote(start_board, tmp_path):
    mpremote = Mpremote(start_board(serial="pty"), tmp_path)
    yield mpremote
    mpremote.close()


def deploy(mpremote, *files):
    command = [sys.executable, device.__file__, "deploy", "--port", mpremote.command()[4],
               "--micropython", MICROPYTHON, *files]
    return subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=100,
                          check=False)


def test_deployed_app_runs(mpremote, serve):
    came = threading.Event()

    async def handler(peer):
        message = await peer.recv()
        came.set()
        return message

    server = serve(handler, "websockets", wait_s=60)
    app = mpremote.folder / "main.py"
    app.write_text(APP.format(url=server.board_url))
    done = deploy(mpremote, app)
    assert done.returncode == 0, done.stdout + done.stderr
    assert came.wait(30)
    assert server.result() == "hello"
    # The firmware has the package: none is copied.
    assert mpremote("resume", "exec", "import os; print(os.listdir())") == ["['main.py']"]


def test_package_is_deployed_where_the_firmware_lacks_it(mpremote):
    mpremote.upload("boot.py", STOCK)
    for _ in range(2):
        done = deploy(mpremote)
        assert done.returncode == 0, done.stdout + done.stderr
        # The reset has run boot.py, so that this is what was copied.
        assert mpremote("exec", "import websocket, modwebsocket, sys; "
                                "print(sys.path, websocket.createClient().stage)") == [
            "['', '/lib', '/'] None"]
        # What is outdated is replaced.
        mpremote("exec", "open('/lib/websocket.mpy', 'w').close()")


def test_board_of_another_mpy_version_is_refused(tmp_path):
    version, sub_version = device.mpy_version(MICROPYTHON)
    for mpy, native in ((version + 1, False), (version | (sub_version ^ 1) << 8 | 9 << 10, True)):
        with pytest.raises(device.Failure, match=rf"one makes {version}\.{sub_version}: .*"):
            device.package(tmp_path, mpy, not native, MICROPYTHON)


def test_core_is_native_if_there_is_one_else_in_python(tmp_path):
    version, sub_version = device.mpy_version(MICROPYTHON)
    for arch, wanted in (("xtensa", "xtensa"), ("x86", None)):
        mpy = version | sub_version << 8 | device.ARCHITECTURES.index(arch) << 10
        (lib,) = device.package(tmp_path, mpy, False, MICROPYTHON)
        assert release.architecture(lib / "_wscore.mpy") == wanted
        assert (lib / "_sha1.mpy").exists() == (wanted is None)
        assert (lib / "modwebsocket" / "link.mpy").exists()
