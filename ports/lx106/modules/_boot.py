# Mounts the flash file system: 256 KiB of the board's RAM outside the ESP8266's map.  It outlives
# resets, not QEMU.  A new one gets the files that tools/lx106.py has put behind it.
import gc
import os

import uctypes
import vfs
from micropython import const

_START = const(0x60000000)
_BLOCK = const(4096)
_BLOCKS = const(64)
_FILES = const(0x60100000)

gc.threshold((gc.mem_free() + gc.mem_alloc()) // 4)


class Flash:
    def __init__(self):
        self.memory = memoryview(uctypes.bytearray_at(_START, _BLOCKS * _BLOCK))

    def readblocks(self, n, buf, offset=0):
        offset += n * _BLOCK
        buf[:] = self.memory[offset : offset + len(buf)]

    def writeblocks(self, n, buf, offset=0):
        offset += n * _BLOCK
        self.memory[offset : offset + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return _BLOCKS
        if op == 5:
            return _BLOCK
        if op == 6:
            return 0


def unpack():
    # Lengths of name and content, 4 bytes each, then both; after the last file zeros.
    at = _FILES
    while True:
        lengths = [int.from_bytes(uctypes.bytes_at(at + i, 4), "little") for i in (0, 4)]
        if not lengths[0]:
            return
        at += 8
        name = uctypes.bytes_at(at, lengths[0]).decode()
        for i in range(len(name)):
            if name[i] == "/":
                try:
                    os.mkdir(name[:i])
                except OSError:
                    pass  # it is there
        with open(name, "wb") as file:
            file.write(uctypes.bytearray_at(at + lengths[0], lengths[1]))
        at += sum(lengths)


bdev = Flash()
try:
    vfs.mount(bdev, "/")
except OSError:
    vfs.VfsLfs2.mkfs(bdev)
    vfs.mount(bdev, "/")
    unpack()
# The names that the chip's _boot.py leaves: gc, vfs, bdev.
del const, os, uctypes, unpack, Flash

gc.collect()
