"""Run a script on a machine of MicroPython's QEMU port (ports/qemu), which has no network.

Its files are a read-only file system that QEMU puts into its memory.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))

# Architecture of native modules: QEMU's options for a machine that runs them, and an address
# where it has memory that its firmware does not use.
MACHINES = {
    "armv6m": ("qemu-system-arm -M microbit -global nrf51-soc.flash-size=1048576 "
               "-global nrf51-soc.sram-size=262144", 0x80000),
    "armv7m": ("qemu-system-arm -M mps2-an385", 0x200000),
    "armv7emsp": ("qemu-system-arm -M mps2-an500", 0x200000),
    "rv32imc": ("qemu-system-riscv32 -M virt -bios none", 0x84000000),
    "xtensawin": ("qemu-system-xtensa -M sim -cpu dc233c -m 32", 0x800000),
}

# What is typed: the raw REPL, the files, the script, and the end of QEMU.
_TYPED = """\
\x01import machine, os, sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at({address}, {length})), "/files")
os.chdir("/files")
sys.path[:] = [""]
sys.argv[:] = {argv!r}
status = 0
try:
    __import__({module!r})
except SystemExit as e:
    status = int(e.args[0]) if e.args else 0
except BaseException as e:
    sys.print_exception(e)
    status = 1
print("\\nstatus", status)
machine.reset()
\x04"""

# Kinds of records of MicroPython's ROMFS, see its extmod/vfs_rom.c.
_PADDING = 1
_DATA = 2
_DIRECTORY = 4
_FILE = 5
_FILESYSTEM = 0x14A6B1


def _number(n):
    digits = [n & 0x7F]
    while n := n >> 7:
        digits.insert(0, n & 0x7F | 0x80)
    return bytes(digits)


def _record(kind, payload):
    return _number(kind) + _number(len(payload)) + payload


def _name(name):
    return _number(len(name.encode())) + name.encode()


def pack(files):
    """A file system.  files: {path: bytes}, of folders in order of their names."""
    tree = {}
    for path, data in files.items():
        *folders, name = path.split("/")
        folder = tree
        for one in folders:
            folder = folder.setdefault(one, {})
        folder[name] = data

    def records(folder):
        return b"".join(
            _record(_DIRECTORY, _name(name) + records(entry)) if isinstance(entry, dict)
            else _record(_FILE, _name(name) + _record(_DATA, entry))
            for name, entry in folder.items())

    payload = records(tree)
    for padding in b"", b"\0", b"\0\0":
        whole = _record(_FILESYSTEM, payload + (padding and _record(_PADDING, padding)))
        if len(whole) % 2 == 0:
            return whole


def command(arch, files):
    """The command (list of str) that starts a machine.  files: path of what pack() returned."""
    options, address = MACHINES[arch]
    return [*options.split(), "-semihosting", "-display", "none", "-monitor", "none",
            "-serial", "stdio", "-kernel", str(firmware(arch)),
            "-device", f"loader,file={files},addr={address:#x},force-raw=on"]


def firmware(arch):
    """The path of its MicroPython."""
    return BUILD / "qemu" / arch / "firmware.elf"


def typed(arch, length, module, argv):
    """What to type (bytes) to have it import a module, print the exit status and end.

    length: of the files, bytes.  argv: for sys.argv, from the script's name on.
    """
    return _TYPED.format(address=MACHINES[arch][1], length=length, module=module,
                         argv=[str(arg) for arg in argv]).encode()
