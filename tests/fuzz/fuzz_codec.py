"""What a Codec receives, in small buffers and in each way of calling it: what the plain decoder
tells, when that does.

An input: flags (1: server, 2: with a limit, 4: in parts, 8: serve(), 16: readinto(), 32: pause,
64: an allocation fails), the limit (2 bytes), the receive buffer's length beyond the least, which
allocation fails, how many bytes come at once (2 numbers in turn, 0: none), and the wire.
"""

import fuzz

from _wscore import Codec

SEED = bytes(20)
HEAD_LEN = 7
RX_MIN = 139
BLOCK_MAX = 1 << 17  # see main.c
TEXT = 1
BINARY = 2
CLOSE = 8
PAUSED = 16
END = -3


class Receiver:
    def __init__(self, data):
        self.flags = flags = data[0]
        self.limit = data[1] | data[2] << 8 if flags & 2 else 0x7FFFFFFF
        self.wire = data[HEAD_LEN:]
        self.stream = fuzz.Stream(self.wire, data[5:HEAD_LEN] if data[5] | data[6] else b"", True)
        self.parts = bool(flags & 4)
        self.codec = Codec(flags & 1, RX_MIN + data[3], 142, self.limit, SEED, self.parts)
        self.got = []
        self.message = b""  # of the parts so far

    def take(self, event, data):
        kind = str if event == TEXT and not self.parts else tuple if event == CLOSE else bytes
        assert isinstance(data, kind), (event, data)
        code = 0
        if event == CLOSE:
            code, data = data
        if isinstance(data, str):
            data = data.encode()
        if self.parts and event <= BINARY:
            offset, final = self.codec.part()
            assert offset == len(self.message), (offset, self.message)
            self.message += data
            if not final:
                assert data
                return
            data = self.message
            self.message = b""
        self.got.append((event, code, data))

    def data(self, event):
        """Of the last event; a failed allocation is no reason to lose it."""
        codec = self.codec
        copied = None
        if self.flags & 16 and event != CLOSE:
            buf = bytearray(len(self.wire) + 1)
            n = codec.readinto(buf)
            copied = bytes(buf[:n])
            assert not any(buf[n:])
        try:
            data = codec.data()
        except MemoryError:
            data = codec.data()
        assert copied is None or data == (copied.decode() if isinstance(data, str) else copied)
        return data

    def by_next(self):
        """Pull events; returns the error or 0, and bytes that had come before the last read."""
        codec = self.codec
        before = 0
        while True:
            event = codec.next()
            if event > 0:
                self.take(event, self.data(event))
            elif event < 0:
                return event, before
            else:
                before = self.stream.given()
                if codec.fill(self.stream) == 0:
                    return 0, before

    def by_serve(self):
        codec = self.codec
        codec.deliver(self.handle, None, 2)
        codec.buffered(self.flags & 16)
        while True:
            event = codec.serve(self.stream)
            if event == END:
                return 0, 0
            if event == PAUSED:
                codec.pause(False)
            elif event > 0:
                self.take(event, self.data(event))
            elif event < -5 or event in (-1, -2):
                return event, 0

    def handle(self, opcode, data):
        self.take(opcode, data)
        if self.flags & 32:
            self.codec.pause(True)


def run(data):
    if len(data) < HEAD_LEN:
        return
    expected, error_at, _ = fuzz.decode(
        data[0] & 1, data[1] | data[2] << 8 if data[0] & 2 else 0x7FFFFFFF, data[HEAD_LEN:]
    )
    receiver = Receiver(data)
    if data[0] & 64:
        fuzz.fail(data[4])
    try:
        error, before = receiver.by_serve() if data[0] & 8 else receiver.by_next()
    except MemoryError:
        # Of serve(), or of this script.
        assert data[0] & 64
        error = None
    fuzz.fail(0)
    got = receiver.got
    if error is None or error in (-1, -2):
        assert data[0] & 64 or receiver.limit > BLOCK_MAX - 100, error
        assert got == expected[: len(got)], (got, expected)
        return
    if error:
        got.append((0, -error, b""))
        if not data[0] & 8:
            # In the piece that holds the byte which makes the input wrong.
            assert before < error_at <= receiver.stream.given(), (before, error_at)
        codec = receiver.codec
        assert codec.next() == error and codec.data() == b"" and codec.readinto(bytearray(0)) == 0
    assert got == expected, (got, expected)
