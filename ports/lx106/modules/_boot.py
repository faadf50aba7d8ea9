# Mounts the flash file system: 256 KiB of the board's RAM outside the ESP8266's map.  It outlives
# resets, not QEMU.
import gc

import uctypes
import vfs

_START = 0x60000000
_BLOCK = 4096
_BLOCKS = 64

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


bdev = Flash()
try:
    vfs.mount(bdev, "/")
except OSError:
    vfs.VfsLfs2.mkfs(bdev)
    vfs.mount(bdev, "/")

gc.collect()
