"""Work on a board at a serial port: flash its firmware, copy files to it, use its REPL.

    python3 tools/device.py flash --port PORT --board BOARD --firmware FILE --micropython DIR
    python3 tools/device.py deploy --port PORT --micropython DIR [FILE...]
    python3 tools/device.py repl --port PORT

PORT: a device, or socket://HOST:PORT. Without one the candidates are listed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from serial.tools import list_ports

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))

# Where the first byte of MicroPython's image goes, as ports/esp32/makeimg.py lays it out.
OFFSETS = {"esp32": 0x1000, "esp32s2": 0x1000, "esp32c5": 0x2000, "esp32p4": 0x2000}

IMAGE_MAGIC = 0xE9

# MicroPython's numbers of the processors in sys.implementation._mpy, see py/persistentcode.h.
ARCHITECTURES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp",
                 "armv7emdp", "xtensa", "xtensawin", "rv32imc", "rv64imc")

# Prints what has to be known before files are copied: the board's .mpy version, and of each of the
# modules whether the firmware has it.
PROBE = """
import os
import sys
print(getattr(sys.implementation, "_mpy", 0))
try:
    lib = [name.split(".")[0] for name in os.listdir("/lib")]
except OSError:
    lib = []
for name in ("_wscore", "modwebsocket"):
    try:
        __import__(name)
        print(name not in lib)
    except (ImportError, ValueError):
        print(False)
"""


class Failure(Exception):
    """What the user has to know."""


def ports(found):
    """The serial ports (those of pyserial's comports()), as text for a person."""
    lines = [f"  PORT={p.device}  {p.description}" for p in sorted(found)]
    return "\n".join(lines) or "  none found: is the board plugged in, and its cable one for data?"


def chip_of(board, micropython):
    """esptool's name of the chip on a board of MicroPython's."""
    if (micropython / "ports/esp8266/boards" / board).is_dir():
        return "esp8266"
    folder = micropython / "ports/esp32/boards"
    try:
        config = (folder / board / "mpconfigboard.cmake").read_text()
    except OSError:
        known = sorted(f.parent.name for f in folder.glob("*/mpconfigboard.cmake"))
        raise Failure(f"no board {board}: BOARD is ESP8266_GENERIC or one of {' '.join(known)}")
    # ESP32_GENERIC has no such line in some releases.
    found = re.search(r"set\(IDF_TARGET (\w+)\)", config)
    return found[1] if found else "esp32"


def flash_command(port, board, firmware, micropython, baud, size):
    """The command that erases the flash, writes the image and compares what the flash has then.

    One command is one connection: a board whose USB is the chip's own has to be put into its
    loader by hand, and leaves it with the connection.
    """
    chip = chip_of(board, micropython)
    try:
        with open(firmware, "rb") as f:
            first = f.read(1)
    except OSError as e:
        raise Failure(f"{e}: `make firmware BOARD={board}` makes one; FIRMWARE=… takes another")
    if first != bytes([IMAGE_MAGIC]):
        raise Failure(f"{firmware} is no firmware image (.bin) for an Espressif chip")
    # An ESP8266 finds its file system by the size in the image's header.
    size = size or ("detect" if chip == "esp8266" else "keep")
    return [sys.executable, "-m", "esptool", "--chip", chip, "--port", port, "--baud", baud,
            "write-flash", "--erase-all", "--flash-size", size, hex(OFFSETS.get(chip, 0)),
            firmware]


def flash(args):
    """Flash a firmware; a failed comparison is a Failure."""
    command = flash_command(args.port, args.board, args.firmware, args.micropython, args.baud,
                            args.flash_size)
    verified = False
    with subprocess.Popen([str(w) for w in command], stdout=subprocess.PIPE, text=True) as tool:
        for line in tool.stdout:
            print(line, end="", flush=True)
            # esptool passes over the comparison where a loader cannot do it.
            verified |= "Hash of data verified" in line
    if tool.returncode or not verified:
        raise Failure("the board does not have the firmware: flashing failed"
                      if tool.returncode else "what was written could not be verified")


def mpremote(port, *words, capture=False):
    """Run a command of mpremote's; its lines, if captured."""
    done = subprocess.run([sys.executable, "-m", "mpremote", "connect", port, *map(str, words)],
                          stdout=subprocess.PIPE if capture else None, text=True, check=False)
    if done.returncode:
        raise Failure(f"mpremote failed at `{' '.join(map(str, words[:2]))}`")
    return done.stdout.splitlines() if capture else []


def mpy_version(micropython):
    """(version, sub-version) of the .mpy files that this tree's mpy-cross makes."""
    text = (micropython / "py/persistentcode.h").read_text()
    return tuple(int(re.search(rf"#define {name}\s+\(?(\d+)", text)[1])
                 for name in ("MPY_VERSION", "MPY_SUB_VERSION"))


def package(folder, mpy, core, micropython):
    """Make in folder what a board without our firmware lacks: a list of files and folders.

    mpy: its sys.implementation._mpy. core: it has _wscore.
    """
    version, sub_version = mpy_version(micropython)
    arch = ARCHITECTURES[min(mpy >> 10, len(ARCHITECTURES) - 1)]
    if mpy & 0xFF != version or (not core and arch and mpy >> 8 & 3 != sub_version):
        raise Failure(f"the board's MicroPython takes .mpy files of version {mpy & 0xFF}."
                      f"{mpy >> 8 & 3}, this one makes {version}.{sub_version}: "
                      f"choose the board's release with MICROPYTHON_VERSION=…")
    lib = folder / "lib"
    shutil.rmtree(lib, ignore_errors=True)
    (lib / "modwebsocket").mkdir(parents=True)
    sources = {f"modwebsocket/{file.name}": file for file in (ROOT / "modwebsocket").glob("*.py")
               if file.name != "manifest.py"}
    sources["websocket.py"] = ROOT / "lua_compat/websocket.py"
    native = BUILD / "natmod" / arch / "_wscore.mpy"
    if not core and arch and native.exists():
        shutil.copyfile(native, lib / native.name)
    elif not core:
        sources |= {file.name: file for file in (ROOT / "modwebsocket/wscore").glob("*.py")}
    for name, source in sources.items():
        subprocess.run([BUILD / "mpy-cross/mpy-cross", "-O3", "-s", name, "-o",
                        (lib / name).with_suffix(".mpy"), source], check=True)
    return [lib]


def deploy(args):
    """Copy our package, if the board's firmware lacks it, and the user's files; then reset."""
    for file in args.files:
        if not file.exists():
            raise Failure(f"there is no {file}")
    mpy, core, frozen = mpremote(args.port, "exec", PROBE, capture=True)
    files = []
    if frozen != "True":
        files += package(BUILD / "deploy", int(mpy), core == "True", args.micropython)
    files += args.files
    for file in files:
        mpremote(args.port, "cp", *(["-r"] if file.is_dir() else []), file, ":")
    mpremote(args.port, "reset")


def repl(args):
    """The board's REPL on this terminal."""
    mpremote(args.port, "repl")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("flash", "deploy", "repl"))
    parser.add_argument("--port")
    parser.add_argument("--micropython", type=Path)
    parser.add_argument("--board")
    parser.add_argument("--firmware", type=Path)
    parser.add_argument("--baud", type=int, default=460800, help="while the image is written")
    parser.add_argument("--flash-size", help="for the image's header: keep, detect, 4MB, …")
    parser.add_argument("files", type=Path, nargs="*")
    args = parser.parse_intermixed_args()
    try:
        if not args.port:
            raise Failure(f"which serial port?\n{ports(list_ports.comports())}")
        {"flash": flash, "deploy": deploy, "repl": repl}[args.action](args)
    except Failure as e:
        sys.exit(f"{args.action}: {e}")


if __name__ == "__main__":
    main()
