"""`mpremote mip install`, from a web server onto an emulated board without modwebsocket."""

import http.server
import threading
from functools import partial

import lx106
import pytest
import release
from peer.test_mpremote import Mpremote
from peer.test_readme import echo, program

STOCK = lx106.BUILD / "lx106-stock" / "firmware.elf"
NATIVE = lx106.BUILD / "natmod" / "xtensa" / "_wscore.mpy"

# docs/native.md: the native module's place.
BOOT = "import esp\nesp.set_native_code_location(0xFE000, 0x2000)\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    """The URL of a web server with what `make release` lays out."""
    folder = tmp_path / "release"
    release.lay_out(folder, lx106.MPY_CROSS, {"xtensa": NATIVE})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def mpremote(start_board, tmp_path):
    mpremote = Mpremote(start_board(serial="pty", firmware=STOCK), tmp_path)
    yield mpremote
    mpremote.close()


def install(mpremote, url):
    assert mpremote("mip", "install", url)[-1] == "Done"


def run(mpremote, text):
    (mpremote.folder / "script.py").write_text(text)
    return mpremote("run", "script.py")


def test_example_runs_as_installed(mpremote, site, serve):
    install(mpremote, f"{site}/esp8266/package.json")
    server = serve(echo, "websockets")
    text = program(0).replace("127.0.0.1:9001", "{server}")
    wait = "import time\nwhile ws.stage is None:\n    time.sleep_ms(10)\n"
    lines = run(mpremote, BOOT + text.format(server=f"{lx106.HOST}:{server.port}") + wait)
    server.result()
    assert lines == ["got hello", "closed -6"]


def test_core_in_python_installs_and_another_cpus_is_explained(mpremote, site):
    install(mpremote, f"{site}/any/package.json")
    told = "import modwebsocket\nprint(modwebsocket.native)\n"
    assert run(mpremote, told) == ["False"]

    script = """
for _ in range(2):
    try:
        import modwebsocket
    except ImportError as e:
        print(e)
"""

    def put(data):
        (mpremote.folder / "core").write_bytes(data)
        mpremote("cp", "core", ":lib/_wscore.mpy")

    native = bytearray(NATIVE.read_bytes())
    native[2] = native[2] & 3 | release.ARCHITECTURES.index("rv32imc") << 2
    put(native)
    needs = "this board takes that of modwebsocket for xtensa or any, .mpy version 6.3"
    assert run(mpremote, script) == [
        f"_wscore: ValueError: incompatible .mpy arch; {needs}"] * 2
    native[1] = 5
    put(native)
    assert run(mpremote, script) == [
        f"_wscore: ValueError: incompatible .mpy file; {needs}"] * 2
    put(NATIVE.read_bytes())
    (line,) = set(run(mpremote, script))
    assert line.startswith("_wscore: MemoryError: ") and line.endswith(
        "for native code; see docs/native.md, or take that for any")
    mpremote("rm", ":lib/_wscore.mpy")
    assert run(mpremote, script) == [
        f"_wscore: ImportError: no module named '_wscore'; {needs}"] * 2
