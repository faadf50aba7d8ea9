"""What `make release` lays out, installed from a web server: by `mpremote mip install` onto an
emulated board without modwebsocket, and for this machine's interpreter.
"""

import http.server
import json
import subprocess
import sys
import threading
import urllib.request
from functools import partial

import lx106
import pytest
import release
from peer.test_mpremote import Mpremote
from peer.test_readme import echo, program

STOCK = lx106.BUILD / "lx106-stock" / "firmware.elf"

NATIVES = {arch: lx106.BUILD / "natmod" / arch / "_wscore.mpy"
           for arch in release.TARGETS.values() if arch}

# boot.py of docs/native.md.
BOOT = "import esp, gc\nesp.set_native_code_location(0xFE000, 0x2000)\ngc.threshold(4096)\n"

# What the board's interpreter says of a core that is not for it.
NEEDS = "this board takes that of modwebsocket for xtensa or any, .mpy version 6.3"

TELL = "import modwebsocket\nprint(modwebsocket.native)\n"
TELL_TWICE = """
for _ in range(2):
    try:
        import modwebsocket
    except ImportError as e:
        print(e)
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The URL of a web server with what `make release` lays out, of the modules that are built."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, release.__file__, "--mpy-cross", lx106.MPY_CROSS, folder,
               *(path for path in NATIVES.values() if path.exists())]
    subprocess.run([str(word) for word in command], check=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def get(url):
    with urllib.request.urlopen(url) as response:
        return response.read()


def fetch(url, folder):
    """Copies to a folder what the package at a URL names, as mip does."""
    for name, source in json.loads(get(f"{url}/package.json"))["urls"]:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(get(f"{url}/{source}"))


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


def run_example(mpremote, serve, before=""):
    """Runs README's first program, which has to do what it says there."""
    server = serve(echo, "websockets")
    text = program(0, lx106.HOST, server.port)
    wait = "import time\nwhile ws.stage is None:\n    time.sleep_ms(10)\n"
    lines = run(mpremote, before + text + wait)
    server.result()
    assert lines == ["got hello", "closed -6"]


def test_example_runs_as_installed(mpremote, site, serve):
    install(mpremote, f"{site}/esp8266/package.json")
    run_example(mpremote, serve, BOOT)


@pytest.mark.parametrize(("package", "before"), [("esp8266", BOOT), ("any", "")])
def test_example_runs_from_the_flash(mpremote, site, serve, tmp_path, package, before):
    fetch(f"{site}/{package}", tmp_path / package)
    assert mpremote("romfs", "--no-mpy", "deploy", package)[-1] == "ROMFS image deployed"
    run_example(mpremote, serve, before)


@pytest.mark.parametrize(("package", "native"), [("unix", True), ("any", False)])
def test_example_runs_on_this_machine(interpreter, site, serve, tmp_path, package, native):
    fetch(f"{site}/{package}", tmp_path / "lib")
    server = serve(echo, "websockets")
    result = interpreter(tmp_path / "lib").run(TELL + program(0, port=server.port))
    server.result()
    assert result.lines == [str(native), "got hello", "closed -6"], result


def test_core_in_python_installs_and_another_cpus_is_explained(mpremote, site):
    install(mpremote, f"{site}/any/package.json")
    assert run(mpremote, TELL) == ["False"]

    def put(data):
        (mpremote.folder / "core").write_bytes(data)
        mpremote("cp", "core", ":lib/_wscore.mpy")

    put(NATIVES["x64"].read_bytes())
    assert run(mpremote, TELL_TWICE) == [
        f"_wscore: ValueError: incompatible .mpy arch; {NEEDS}"] * 2
    native = NATIVES["xtensa"].read_bytes()
    put(native[:1] + b"\x05" + native[2:])
    assert run(mpremote, TELL_TWICE) == [
        f"_wscore: ValueError: incompatible .mpy file; {NEEDS}"] * 2
    put(native)
    (line,) = set(run(mpremote, TELL_TWICE))
    assert line.startswith("_wscore: MemoryError: ") and line.endswith(
        "for native code; see docs/native.md, or take that for any")
    mpremote("rm", ":lib/_wscore.mpy")
    assert run(mpremote, TELL_TWICE) == [
        f"_wscore: ImportError: no module named '_wscore'; {NEEDS}"] * 2


@pytest.mark.natmod
@pytest.mark.parametrize("package", sorted(
    package for package, arch in release.TARGETS.items() if arch not in (None, "xtensa")))
def test_package_for_another_board_installs_and_is_explained(mpremote, site, package):
    install(mpremote, f"{site}/{package}/package.json")
    assert run(mpremote, TELL_TWICE) == [
        f"_wscore: ValueError: incompatible .mpy arch; {NEEDS}"] * 2


@pytest.mark.natmod
def test_release_is_complete(site, tmp_path):
    for package, arch in release.TARGETS.items():
        fetch(f"{site}/{package}", tmp_path / package)
        files = {str(f.relative_to(tmp_path / package)): f
                 for f in (tmp_path / package).rglob("*") if f.is_file()}
        for name, file in files.items():
            if name.endswith(".mpy"):
                assert release.architecture(file) == (arch if name == "_wscore.mpy" else None)
        assert {"_wscore.mpy", "websocket.mpy", "modwebsocket/link.mpy"} < set(files)
        if arch:
            assert files["_wscore.mpy"].read_bytes() == NATIVES[arch].read_bytes()
