"""Print how many bytes native modules take.

    python3 tools/natmod.py FILE.mpy...

Each file's folder is named after its architecture.  Code is what goes to the memory that code runs
from, with its constants where no other memory is given for them; RAM is beside it.
"""

import sys
from pathlib import Path

GOALS = {"xtensa": 6144}  # of the file, bytes

# Flags of a native function, see MicroPython's py/bc.h.
_HAS_RODATA = 0x20
_HAS_BSS = 0x40


class Reader:
    """The numbers of an .mpy file; their format is that of MicroPython's py/persistentcode.c."""

    def __init__(self, data):
        self._data = data
        self.at = 0

    def number(self):
        n = 0
        while True:
            byte = self._data[self.at]
            self.at += 1
            n = n << 7 | byte & 0x7F
            if byte < 0x80:
                return n


def sizes(data):
    """(code, rodata, bss) of the file's contents, bytes."""
    reader = Reader(data)
    reader.at = 4
    names = reader.number()
    objects = reader.number()
    for _ in range(names):
        n = reader.number()
        if n % 2 == 0:
            reader.at += n // 2 + 1
    for _ in range(objects):
        # Its only one is the table of the runtime's functions, which has no contents.
        reader.at += 1
    code = reader.number() >> 3
    reader.at += code
    flags = reader.number()
    rodata = reader.number() if flags & _HAS_RODATA else 0
    bss = reader.number() if flags & _HAS_BSS else 0
    return code, rodata, bss


def main(paths):
    """Print a table."""
    print("%-10s %6s %6s %6s" % ("machine", "file", "code", "RAM"))
    for path in map(Path, paths):
        data = path.read_bytes()
        code, rodata, bss = sizes(data)
        machine = path.parent.name
        row = "%-10s %6d %6d %6d" % (machine, len(data), code, rodata + bss)
        goal = GOALS.get(machine)
        if goal:
            met = "met" if len(data) <= goal else "not met (%+d)" % (len(data) - goal)
            row += "  file <= %d: %s" % (goal, met)
        print(row)


if __name__ == "__main__":
    main(sys.argv[1:])
