"""Targets: the interpreters that run the tests' scripts.

A test asks for `target` and runs on each of them; what is special about one is written here and
nowhere else. A script runs with an empty folder as its current directory, because the current
directory shadows frozen modules.
"""

import os
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))

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

    def __init__(self, command, folder, environment):
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def interrupt(self):
        """Presses Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def result(self, timeout_s=10):
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
    """An interpreter, with modwebsocket in it or beside it."""

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

    def run(self, script, *args, timeout_s=10, heap=None):
        """Runs a script to its end and returns the Result; see start()."""
        return self.start(script, *args, heap=heap).result(timeout_s)


def make_target(name, folder):
    """The target of this name; its scripts run in folder."""
    if name == "stock":
        natmod = BUILD / "natmod" / "x64"
        return Target(name, folder, name, needs=[natmod / "_wscore.mpy"],
                      path=[natmod, ROOT, ROOT / "lua_compat", FROZEN])
    return Target(name, folder, name)


@pytest.fixture(params=["unix", "stock"])
def target(request, tmp_path):
    """unix: everything is in the interpreter. stock: nothing, it loads the native module."""
    return make_target(request.param, tmp_path)


@pytest.fixture
def unix(tmp_path):
    """The target unix alone, where the other one could not behave differently."""
    return make_target("unix", tmp_path)


@pytest.fixture
def failalloc(tmp_path):
    """As unix, with the module `failalloc`, which makes the n-th allocation fail."""
    return make_target("failalloc", tmp_path)
