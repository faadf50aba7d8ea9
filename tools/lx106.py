"""Run the emulated ESP8266-class board (ports/lx106) in QEMU.

    python3 tools/lx106.py [--firmware FILE] [--files FILE...] [--port PORT] [SCRIPT [ARG...]]

Without a script a person gets the board's REPL; Ctrl-A X ends it. A script becomes main.py: it
runs at once, and the REPL follows while its callbacks go on. If nobody can type there, because
the input is not a terminal, the board serves until the script's connections have closed and ends
with its exit status. The host is 10.0.2.2 for the board.
"""

import argparse
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))
FIRMWARE = BUILD / "lx106" / "firmware.elf"
MPY_CROSS = BUILD / "mpy-cross" / "mpy-cross"
PLUGIN = BUILD / "qemu_plugin.so"  # counts and checks, see tools/qemu_plugin.c
HOST = "10.0.2.2"  # this machine, as the board sees it

_FILES_AT = 0x60100000  # see ports/lx106/modules/_boot.py

# main.py of a board that shall end: it runs the script and serves until no link is left.
_MAIN = """\
import sys
import lx106
sys.argv[:] = {argv!r}
status = 0
try:
{before}
    __import__({module!r})
    pump = sys.modules.get("modwebsocket.pump")
    if pump:
        from time import sleep_ms
        while pump._links:
            sleep_ms(10)
except SystemExit as e:
    status = e.args[0] if e.args else 0
    status = int(status) if isinstance(status, (int, bool)) else status is not None
except BaseException as e:
    sys.print_exception(e)
    status = 1
lx106.exit(status)
"""


def pack(files):
    """What _boot.py unpacks.  files: {name: bytes}."""
    packed = b"".join(len(name.encode()).to_bytes(4, "little") + len(data).to_bytes(4, "little")
                      + name.encode() + data for name, data in files.items())
    return packed + bytes(8)


def main_py(module, argv=(), before=""):
    """main.py that imports a module and ends the board with the exit status of a script.

    argv: for sys.argv, from the script's name on.  before: statements to run before.
    """
    return _MAIN.format(argv=[str(arg) for arg in argv], module=module,
                        before=textwrap.indent(before or "pass", "    ")).encode()


def command(files=None, serial="stdio", net="", firmware=FIRMWARE, control=None, options=()):
    """The command (list of str) that starts a board.

    files: path of what pack() returned. net: more of QEMU's options for its user network, from
    the comma on. serial: where the REPL goes. control: path of a socket to make, for plug().
    options: more of QEMU's options.
    """
    words = ["qemu-system-xtensa", "-M", "lx60-nommu", "-cpu", "lx106", "-m", "4", "-semihosting",
             "-display", "none", "-netdev", f"user,id=net{net}",
             "-net", "nic,model=open_eth,netdev=net", "-serial", serial, "-kernel", firmware]
    if serial != "mon:stdio":
        words += ["-monitor", "none"]
    if control:
        words += ["-qmp", f"unix:{control},server=on,wait=off"]
    if files:
        words += ["-device", f"loader,file={files},addr={_FILES_AT:#x},force-raw=on"]
    return [str(word) for word in (*words, *options)]


def forwarded(port):
    """What command() takes as net, to have a port of 127.0.0.1 be the board's."""
    return f",hostfwd=tcp:127.0.0.1:{port}-:{port}"


def checked(report):
    """Options that make QEMU report memory accesses that the chip does not have, see PLUGIN.

    report: the file where it does.
    """
    return ["-plugin", f"{PLUGIN},check=on,out={report}"]


def plug(control, plugged):
    """Plug the network cable in, or pull it out.  control: see command()."""
    commands = (
        {"execute": "qmp_capabilities"},
        {"execute": "set_link", "arguments": {"name": "net", "up": plugged}},
    )
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(control))
        with s.makefile("rw") as stream:
            assert "QMP" in stream.readline()
            for one in commands:
                stream.write(json.dumps(one) + "\n")
                stream.flush()
                while "return" not in (answer := json.loads(stream.readline())):
                    assert "event" in answer, answer


def explain(text, firmware=FIRMWARE):
    """A crash report of the board (main.c), with the names of its functions; else ""."""
    found = re.search(r"FATAL: .*", text)
    if not found:
        return ""
    lines = [found[0].strip()]
    for name in ("pc", "a0"):
        address = re.search(rf"\b{name}=(\w+)", found[0])
        if address:
            done = subprocess.run(["xtensa-lx106-elf-addr2line", "-fse", firmware, address[1]],
                                  capture_output=True, text=True, check=False)
            lines.append(f"{name}: {' '.join(done.stdout.split())}")
    return "\n".join(lines)


class Board:
    """A board whose REPL this program uses, as a context manager."""

    def __init__(self, **kwargs):
        """kwargs: as command() takes them."""
        self._firmware = kwargs.get("firmware", FIRMWARE)
        self._process = subprocess.Popen(command(**kwargs), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End QEMU and return its exit status."""
        self._process.terminate()
        self._process.communicate()
        return self._process.returncode

    def write(self, data):
        """Type data (bytes)."""
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def until(self, mark, timeout_s=10):
        """What the board has printed (bytes), up to and with mark."""
        end = time.monotonic() + timeout_s
        while mark not in self._text:
            if not self._selector.select(max(0, end - time.monotonic())):
                raise TimeoutError(f"no {mark} within {timeout_s} s: {self._text}")
            data = self._process.stdout.read()
            if not data:
                text = self._text.decode(errors="replace")
                raise EOFError(f"the board has ended: {explain(text, self._firmware) or text}")
            self._text += data
        head, _, self._text = self._text.partition(mark)
        return head + mark

    def exec(self, source, timeout_s=10):
        """Run source in the raw REPL; returns what it printed. Raises RuntimeError if it fails."""
        self.write(b"\r\x03\x01")
        self.until(b"raw REPL; CTRL-B to exit\r\n>")
        self.write(source.encode() + b"\x04")
        self.until(b"OK")
        out = self.until(b"\x04", timeout_s)[:-1].decode()
        error = self.until(b"\x04")[:-1].decode()
        self.until(b">")
        if error:
            raise RuntimeError(out + error)
        return out.replace("\r\n", "\n")


def main():
    """Run the board on this terminal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firmware", type=Path, default=FIRMWARE)
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="for its file system")
    parser.add_argument("--port", type=int, help="of this machine, is the board's of that number")
    parser.add_argument("script", type=Path, nargs="?")
    parser.add_argument("args", nargs=argparse.REMAINDER)
    args = parser.parse_args()

    files = {path.name: path.read_bytes() for path in args.files}
    person = sys.stdin.isatty()
    if args.script:
        argv = [args.script.name, *args.args]
        if person:
            files["boot.py"] = f"import sys\nsys.argv[:] = {argv!r}\n".encode()
            files["main.py"] = args.script.read_bytes()
        else:
            files["script.py"] = args.script.read_bytes()
            files["main.py"] = main_py("script", argv)
    if person:
        print("the host is 10.0.2.2; Ctrl-A X ends the board")
    with tempfile.NamedTemporaryFile() as packed:
        packed.write(pack(files))
        packed.flush()
        serial = "mon:stdio" if person else "stdio"
        net = forwarded(args.port) if args.port else ""
        done = subprocess.run(command(packed.name, serial, net, args.firmware), check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
