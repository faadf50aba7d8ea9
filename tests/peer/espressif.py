"""The serial loader of an ESP8266 or ESP32 on a TCP port, with a flash that is a bytearray.

It speaks as the loader in the chip's ROM until it has been given esptool's own, which it does not
run but whose protocol it then speaks: https://docs.espressif.com/projects/esptool, "Serial
Protocol". A command that it does not know is refused, as by the chip.
"""

import hashlib
import socket
import struct
import threading
import zlib

FLASH_LEN = 4 << 20
SECTOR_LEN = 4096
JEDEC_ID = 0x1640EF  # a flash of 4 MiB

# Register that tells the chip, its value; the first of the registers that drive the flash, and
# where among them the answer is.
MAGIC_AT = 0x40001000
CHIPS = {
    "esp8266": (0xFFF0C101, 0x60000200, 0x40),
    "esp32": (0x00F01D83, 0x3FF42000, 0x80),
}

(FLASH_BEGIN, FLASH_DATA, FLASH_END, MEM_BEGIN, MEM_END, MEM_DATA, SYNC, WRITE_REG, READ_REG,
 SPI_SET_PARAMS) = range(2, 12)
SPI_ATTACH, CHANGE_BAUDRATE = 0x0D, 0x0F
FLASH_DEFL_BEGIN, FLASH_DEFL_DATA, FLASH_DEFL_END, SPI_FLASH_MD5 = range(0x10, 0x14)
ERASE_FLASH = 0xD0

BAD_MESSAGE, BAD_CHECKSUM = 5, 7


def checksum(data):
    """As both loaders count it."""
    value = 0xEF
    for byte in data:
        value ^= byte
    return value


class Chip:
    """A chip in its loader, for one connection after another.

    flash: its contents. damage: an address at which it will store a wrong byte. erased, baud:
    what was asked for.
    """

    def __init__(self, name):
        self.flash = bytearray(b"\0" * FLASH_LEN)
        self.damage = None
        self.erased = False
        self.baud = None
        self._magic, self._spi, self._answer = CHIPS[name]
        self._rom_status_len = 2 if name == "esp8266" else 4
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = "socket://127.0.0.1:%d" % self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._server.close()

    def _serve(self):
        while True:
            try:
                self._line, _ = self._server.accept()
            except OSError:
                return
            with self._line:
                self._ours = False
                self._registers = {MAGIC_AT: self._magic}
                self._memory = {}
                for packet in self._packets():
                    self._command(packet)

    def _packets(self):
        # SLIP: packets between 0xC0, in which that byte and 0xDB are escaped.
        text = b""
        while data := self._line.recv(65536):
            *packets, text = (text + data).split(b"\xc0")
            for packet in filter(None, packets):
                yield packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")

    def _send(self, packet):
        packet = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        self._line.sendall(b"\xc0" + packet + b"\xc0")

    def _reply(self, command, value=0, data=b"", error=0):
        status_len = 2 if self._ours else self._rom_status_len
        status = bytes([bool(error), error]).ljust(status_len, b"\0")
        self._send(struct.pack("<BBHI", 1, command, len(data + status), value) + data + status)

    def _command(self, packet):
        direction, command, length, check = struct.unpack_from("<BBHI", packet)
        data = packet[8:]
        assert direction == 0 and len(data) == length, packet
        words = struct.unpack_from("<%dI" % min(len(data) // 4, 4), data)
        if command in (FLASH_DATA, MEM_DATA, FLASH_DEFL_DATA):
            data = data[16:]
            if len(data) != words[0] or checksum(data) != check & 0xFF:
                self._reply(command, error=BAD_CHECKSUM)
                return
        if command == SYNC:
            for _ in range(8):
                self._reply(command, value=0 if self._ours else 1)
        elif command == READ_REG:
            self._reply(command, value=self._registers.get(words[0], 0))
        elif command == WRITE_REG:
            self._registers[words[0]] = words[1]
            if words[0] == self._spi:
                # It starts an operation of the flash: here, to tell its identity.
                self._registers[self._spi] = 0
                self._registers[self._spi + self._answer] = JEDEC_ID
            self._reply(command)
        elif command == MEM_BEGIN:
            self._memory[words[3]] = self._segment = bytearray()
            self._reply(command)
        elif command == MEM_DATA:
            self._segment += data
            self._reply(command)
        elif command == MEM_END:
            entry = words[1]
            inside = any(at <= entry < at + len(code) for at, code in self._memory.items())
            self._reply(command, error=0 if inside else BAD_MESSAGE)
            if inside:
                self._ours = True
                self._send(b"OHAI")
        elif command in (SPI_SET_PARAMS, SPI_ATTACH):
            self._reply(command)
        elif not self._ours:
            self._reply(command, error=BAD_MESSAGE)
        elif command == CHANGE_BAUDRATE:
            self.baud = words[0]
            self._reply(command)
        elif command == ERASE_FLASH:
            self.erased = True
            self.flash[:] = b"\xff" * FLASH_LEN
            self._reply(command)
        elif command in (FLASH_BEGIN, FLASH_DEFL_BEGIN):
            length, self._at = words[0], words[3]
            end = self._at + -(-length // SECTOR_LEN) * SECTOR_LEN
            self.flash[self._at:end] = b"\xff" * (end - self._at)
            self._inflate = zlib.decompressobj()
            self._reply(command)
        elif command in (FLASH_DATA, FLASH_DEFL_DATA):
            self._write(data if command == FLASH_DATA else self._inflate.decompress(data))
            self._reply(command)
        elif command in (FLASH_END, FLASH_DEFL_END):
            self._reply(command)
        elif command == SPI_FLASH_MD5:
            found = self.flash[words[0]:words[0] + words[1]]
            self._reply(command, data=hashlib.md5(found).digest())
        else:
            self._reply(command, error=BAD_MESSAGE)

    def _write(self, data):
        end = self._at + len(data)
        # Writing clears bits: what was not erased shows.
        old = self.flash[self._at:end]
        self.flash[self._at:end] = bytes(a & b for a, b in zip(old, data, strict=True))
        if self.damage is not None and self._at <= self.damage < end:
            self.flash[self.damage] ^= 0x10
        self._at = end
