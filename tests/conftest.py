"""Targets: the interpreters that run the tests' scripts.

A test asks for `target` and runs on each of them; what is special about one is written here and
nowhere else. A script runs with an empty folder as its current directory, because the current
directory shadows frozen modules.
"""

import ast
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WSCORE = ROOT / "modwebsocket" / "wscore"
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))

sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tools" / "bench")]
import lx106  # noqa: E402
import qemu  # noqa: E402

# What the stock interpreter finds by itself if MICROPYPATH does not say otherwise.
FROZEN = ".frozen"


class Result:
    """How a script ended.

    lines: of its standard output. errors: its standard error, str. status: of the exit, minus
    the signal's number if one ended it.
    """

    def __init__(self, out, errors, status):
        self.lines = out.decode(errors="replace").split("\n")[:-1]
        self.errors = errors.decode(errors="replace")
        self.status = status

    def __repr__(self):
        return f"status {self.status}\n{self.lines}\n{self.errors}"


class Process:
    """A script that runs on this machine."""

    _stdin = subprocess.DEVNULL

    def __init__(self, command, folder, environment):
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=self._stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def until(self, line, timeout_s=30):
        """Waits for a line (str) of its output. The Result has what comes behind it."""
        end = time.monotonic() + timeout_s
        pipe = self._process.stdout.fileno()
        text = b""
        while not text.endswith(line.encode() + b"\n"):
            ready = select.select([pipe], [], [], max(0, end - time.monotonic()))[0]
            byte = os.read(pipe, 1) if ready else b""
            if not byte:
                pytest.fail(f"no {line!r} in {text}, but {self.result()}", pytrace=False)
            text += byte.replace(b"\r", b"")

    def interrupt(self):
        """Presses Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def result(self, timeout_s=20):
        """Waits for the end. Fails the test if there is none in time."""
        try:
            out, errors = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, errors = self._process.communicate()
            what = Result(out, errors, None)
            pytest.fail(f"the script did not end within {timeout_s} s: {what}", pytrace=False)
        return Result(out, errors, self._process.returncode)


class Target:
    """An interpreter, with modwebsocket in it or beside it.

    host: the address of this machine for its scripts.
    """

    host = "127.0.0.1"

    def __init__(self, name, folder, program, needs=(), path=None):
        self.name = name
        self._folder = folder
        self._program = BUILD / program / "micropython"
        self._path = path
        for file in [self._program, *needs]:
            if not file.exists():
                pytest.fail(f"{file} is missing: run `make {file.relative_to(BUILD).parts[0]}`",
                            pytrace=False)

    def start(self, script, *args, heap=None):
        """Starts a script and returns its Process.

        script: its text, or the Path of its file. args: its arguments. heap: bytes, as -X
        heapsize takes them, for instance "64k".
        """
        if isinstance(script, str):
            file = self._folder / "script.py"
            file.write_text(textwrap.dedent(script))
            script = file
        environment = {k: v for k, v in os.environ.items() if k != "MICROPYPATH"}
        if self._path:
            environment["MICROPYPATH"] = ":".join(str(p) for p in self._path)
        options = ["-X", f"heapsize={heap}"] if heap else []
        command = [str(w) for w in (self._program, *options, script, *args)]
        return Process(command, self._folder, environment)

    def forward(self, port):
        """Have what comes to a port of 127.0.0.1 get to the same port of the next script."""

    def fits(self, size, on_board):
        """size; or on_board, where the board's memory is too little for it."""
        return size

    def run(self, script, *args, timeout_s=20, heap=None):
        """Runs a script to its end and returns the Result; see start()."""
        return self.start(script, *args, heap=heap).result(timeout_s)


# What MicroPython prints for an exception.
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:  .*\n)+.*\n")


class BoardProcess(Process):
    """A script that runs on the emulated board, whose one serial line takes everything.

    A memory access that the chip does not have fails the test.
    """

    _stdin = subprocess.PIPE

    def __init__(self, files, folder, control, options, net):
        self._accesses = folder / "accesses"
        options = [*options, *lx106.checked(self._accesses)]
        command = lx106.command(files, control=control, options=options, net=net)
        super().__init__(command, folder, None)

    def interrupt(self):
        """Presses Ctrl-C."""
        self._process.stdin.write(b"\x03")
        self._process.stdin.flush()

    def result(self, timeout_s=20):
        """As Process.result(); the errors are the tracebacks, or the report of a crash.

        A board whose accesses are checked has half its speed, and twice the time.
        """
        result = super().result(2 * timeout_s)
        accesses = self._accesses.read_text()
        if accesses:
            pytest.fail(f"{accesses}{result}", pytrace=False)
        text = "".join(line.rstrip("\r") + "\n" for line in result.lines)
        result.lines = TRACEBACK.sub("", text).split("\n")[:-1]
        result.errors += "".join(TRACEBACK.findall(text)) + lx106.explain(text)
        return result


class Board(Target):
    """The emulated ESP8266-class board: its firmware has modwebsocket in it.

    Scripts are compiled here, because the board has little memory. A script may import those
    beside it. An argument that is a Path is a file for the board.

    options: QEMU's, list of str.
    """

    host = lx106.HOST
    before = ""  # statements to run before the script

    def __init__(self, name, folder):
        self.name = name
        self.options = []
        self._net = ""
        self._folder = folder
        self._control = folder / "control"
        for file in (lx106.FIRMWARE, lx106.MPY_CROSS, lx106.PLUGIN):
            if not file.exists():
                pytest.fail(f"{file} is missing: run `make test`", pytrace=False)

    def forward(self, port):
        """As Target.forward()."""
        self._net = lx106.forwarded(port)

    def fits(self, size, on_board):
        """As Target.fits()."""
        return on_board

    def start(self, script, *args, heap=None):
        """As Target.start(); the heap is the board's own."""
        files, module, argv = self._collect(script, args)
        files["main.py"] = lx106.main_py(module, argv, self.before)
        packed = self._folder / "files"
        packed.write_bytes(lx106.pack(files))
        return BoardProcess(packed, self._folder, self._control, self.options,
                            self._net)

    def plug(self, plugged):
        """Plug the network cable in, or pull it out, of the board that runs."""
        lx106.plug(self._control, plugged)

    def _collect(self, script, args):
        # The files of a script, its module's name, its sys.argv.
        if isinstance(script, str):
            file = self._folder / "script.py"
            file.write_text(textwrap.dedent(script))
            script = file
        files = {}
        self._add(files, script, args, main=True)
        for arg in args:
            if isinstance(arg, Path):
                files[arg.name] = arg.read_bytes()
            elif (script.parent / f"{arg}.py").exists():
                self._add(files, script.parent / f"{arg}.py", args)
        names = [arg.name if isinstance(arg, Path) else str(arg) for arg in args]
        return files, script.stem, [
            script.name, *(n.replace("127.0.0.1", self.host) for n in names)]

    def _add(self, files, script, args, main=False):
        # The script and what it imports from its folder.
        if f"{script.stem}.mpy" in files:
            return
        lines = script.read_text().split("\n")
        for node in ast.parse("\n".join(lines)).body:
            name = getattr(node, "name", "")
            if name.startswith("test_") and name not in args:
                # Other tests would take the memory of this one.
                for i in range(node.lineno - 1, node.end_lineno):
                    lines[i] = ""
        text = "\n".join(lines)
        if main:
            # The board's main.py imports it.
            text = re.sub(r"(?<!\.)\b__name__\b", "'__main__'", text)
        files[f"{script.stem}.mpy"] = self._compiled(script.name, text)
        for name in re.findall(r"^\s*(?:from|import) (\w+)", text, re.M):
            if (script.parent / f"{name}.py").exists():
                self._add(files, script.parent / f"{name}.py", args)

    def _compiled(self, name, text):
        source = self._folder / "source.py"
        source.write_text(text)
        compiled = self._folder / "compiled.mpy"
        subprocess.run([lx106.MPY_CROSS, "-s", name, "-o", compiled, source], check=True)
        return compiled.read_bytes()


class NativeBoard(Board):
    """As Board, but `_wscore` is the native module, in 8 KiB of the flash.

    It has another file name, as the one in the firmware would win.
    """

    before = """\
import esp
esp.set_native_code_location(0xFE000, 0x2000)
sys.modules["_wscore"] = __import__("native")"""

    def _collect(self, script, args):
        files, *rest = super()._collect(script, args)
        files["native.mpy"] = native_module("xtensa").read_bytes()
        return files, *rest


class PureBoard(Board):
    """As Board, but with the core in Python, in RAM."""

    before = """\
sys.modules["_wscore"] = __import__("in_python")"""

    def _collect(self, script, args):
        files, *rest = super()._collect(script, args)
        for name, source in (("in_python", "_wscore"), ("_sha1", "_sha1")):
            text = (WSCORE / f"{source}.py").read_text()
            files[f"{name}.mpy"] = self._compiled(f"{source}.py", text)
        return files, *rest


class Machine(Board):
    """A machine of MicroPython's QEMU port with the native module; no network, no board of ours.

    Of modwebsocket it has what needs no network.

    core: the architecture of its module.
    """

    def __init__(self, arch, folder):
        self.name = self.core = arch
        self._folder = folder
        for file in (qemu.firmware(arch), native_module(arch), lx106.MPY_CROSS):
            if not file.exists():
                pytest.fail(f"{file} is missing: run `make test-natmod`", pytrace=False)

    def fits(self, size, on_board):
        """As Target.fits()."""
        return size

    def start(self, script, *args, heap=None):
        """As Target.start(); the heap is the machine's own."""
        files, module, argv = self._collect(script, args)
        files["_wscore.mpy"] = native_module(self.core).read_bytes()
        for name in ("__init__", "_unfit", "connection", "errors", "events", "handshake",
                     "upgrade", "url"):
            text = (ROOT / "modwebsocket" / f"{name}.py").read_text()
            text = re.sub("^from [.](link|pump) .*", "", text, flags=re.M)
            files[f"modwebsocket/{name}.mpy"] = self._compiled(f"{name}.py", text)
        packed = self._folder / "files"
        packed.write_bytes(qemu.pack(files))
        return MachineProcess(qemu.command(self.name, packed),
                              qemu.typed(self.name, packed.stat().st_size, module, argv),
                              self._folder)


class MachineProcess(Process):
    """A script that was typed on a machine's serial line."""

    _stdin = subprocess.PIPE

    def __init__(self, command, typed, folder):
        super().__init__(command, folder, None)
        self._process.stdin.write(typed)
        self._process.stdin.flush()

    def result(self, timeout_s=20):
        """As Process.result(); a machine that ends without a status has crashed."""
        result = super().result(timeout_s)
        text = "\n".join(line.rstrip("\r") for line in result.lines)
        text = text.partition(">OK")[2]
        text, end, status = text.rpartition("\n\nstatus ")
        result.lines = TRACEBACK.sub("", text + "\n").split("\n")[:-1]
        result.errors += "".join(TRACEBACK.findall(text + "\n"))
        result.status = int(status) if end else f"none, QEMU's {result.status}"
        return result


class Lua(Target):
    """Debian's Lua, with NodeMCU's modules as peer/nodemcu.lua has them: no MicroPython at all.

    Its scripts are in Lua, and connect to the URL that is their first argument.
    """

    def __init__(self, name, folder):
        self.name = name
        self._folder = folder

    def start(self, script, *args, heap=None):
        """As Target.start()."""
        if isinstance(script, str):
            file = self._folder / "script.lua"
            file.write_text(script)
            script = file
        command = ["lua5.2", Path(__file__).parent / "peer" / "nodemcu.lua", script, *args]
        return Process(command, self._folder, None)


def native_module(arch):
    """The path of the native module for an architecture."""
    return BUILD / "natmod" / arch / "_wscore.mpy"


def make_target(name, folder):
    """The target of this name; its scripts run in folder."""
    if name == "xtensa":
        return NativeBoard(name, folder)
    if name in qemu.MACHINES:
        return Machine(name, folder)
    if name == "lx106":
        return Board(name, folder)
    if name == "lua":
        return Lua(name, folder)
    if name == "stock":
        natmod = BUILD / "natmod" / "x64"
        return Target(name, folder, name, needs=[natmod / "_wscore.mpy"],
                      path=[natmod, ROOT, ROOT / "lua_compat", FROZEN])
    if name == "pure":
        return Target(name, folder, "stock", path=[WSCORE, ROOT, ROOT / "lua_compat", FROZEN])
    if name == "pure-lx106":
        return PureBoard(name, folder)
    return Target(name, folder, name)


# Fixtures that are, or are for, one target only.
OF_TARGET = {
    "unix": "unix", "pure": "pure", "pure_board": "lx106", "failalloc": "failalloc",
    "start_board": "lx106", "xtensa": "lx106", "interpreter": "stock",
}


def pytest_addoption(parser):
    parser.addoption("--target", help="run the tests of this target only")
    parser.addoption("--screenshot", help="where test_dashboard() leaves one of the dashboard")


def pytest_configure(config):
    config.addinivalue_line("markers", "not_on(target, why): skip the test on this target")
    config.addinivalue_line("markers", "long: starts first, so that others run beside it")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    wanted = config.getoption("target")
    if not wanted:
        return
    others = []
    for item in items[:]:
        targets = {OF_TARGET[name] for name in item.fixturenames if name in OF_TARGET}
        if hasattr(item, "callspec"):
            targets.add(item.callspec.params.get("target"))
            native = item.callspec.params.get("native")
            targets.add(OF_TARGET.get(native, native))
        if wanted not in targets:
            items.remove(item)
            others.append(item)
    config.hook.pytest_deselected(items=others)


@pytest.fixture(params=["unix", "stock", "lx106"])
def target(request, tmp_path):
    """unix: everything is in the interpreter. stock: nothing, it loads the native module.

    lx106: the emulated board.
    """
    for mark in request.node.iter_markers("not_on"):
        if request.param == mark.args[0]:
            pytest.skip(mark.args[1])
    return make_target(request.param, tmp_path)


@pytest.fixture(params=["xtensa", *(
    pytest.param(name, marks=pytest.mark.natmod) for name in ("stock", *qemu.MACHINES))])
def native(request, tmp_path):
    """Targets that load the native module, one for each architecture; stock: x64.

    xtensa: the emulated board. The others: machines without a network.
    """
    return make_target(request.param, tmp_path)


@pytest.fixture
def make_native(tmp_path):
    """make_native(name): one of these targets."""
    return lambda name: make_target(name, tmp_path)


@pytest.fixture
def xtensa(tmp_path):
    """Of these the emulated board, before it has loaded the module native.mpy."""
    target = make_target("xtensa", tmp_path)
    target.before = ""
    return target


@pytest.fixture
def pure(tmp_path):
    """As stock, but with the core in Python."""
    return make_target("pure", tmp_path)


@pytest.fixture
def pure_board(tmp_path):
    """As the target lx106, but with the core in Python."""
    return make_target("pure-lx106", tmp_path)


@pytest.fixture
def interpreter(tmp_path):
    """interpreter(folder): the unmodified one of this machine, which finds modules in a folder."""
    return lambda folder: Target("stock", tmp_path, "stock", path=[folder, FROZEN])


@pytest.fixture
def unix(tmp_path):
    """The target unix alone, where the others could not behave differently."""
    return make_target("unix", tmp_path)


@pytest.fixture
def failalloc(tmp_path):
    """As unix, with the module `failalloc`, which makes the n-th allocation fail."""
    return make_target("failalloc", tmp_path)
