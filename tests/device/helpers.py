"""What the device scripts share: expected errors, frames by hand, streams and a server."""

import io
import sys

from modwebsocket.url import partition

SEED = bytes(range(20))
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

FIN = 0x80
CONTINUATION = 0
TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10


def fits(usual, on_board):
    """usual; or on_board, where there is less memory than that takes, as on an ESP8266."""
    return on_board if sys.platform in ("lx106", "qemu") else usual


def raises(error, function, *args):
    """Call function, which must raise error; returns what it raised."""
    try:
        function(*args)
    except error as e:
        return e
    raise AssertionError(f"no {error} of {args}")


def mask(payload, key):
    return bytes(b ^ key[i & 3] for i, b in enumerate(payload))


def frame(opcode, payload=b"", key=None, fin=True):
    """A whole frame; with a key (4 bytes) it is a client's."""
    n = len(payload)
    bit = 0x80 if key else 0
    head = bytes((opcode | (FIN if fin else 0),))
    if n < 126:
        head += bytes((bit | n,))
    elif n < 65536:
        head += bytes((bit | 126, n >> 8, n & 255))
    else:
        head += bytes((bit | 127,)) + n.to_bytes(8, "big")
    return head + (key + mask(payload, key) if key else payload)


def frames(wire):
    """Takes whole frames apart: a list of (first byte, key or None, payload)."""
    wire = bytes(wire)
    found = []
    at = 0
    while at < len(wire):
        first, n = wire[at], wire[at + 1]
        masked = n & 0x80
        n &= 0x7F
        at += 2
        if n >= 126:
            size = 2 if n == 126 else 8
            n = int.from_bytes(wire[at : at + size], "big")
            at += size
        key = None
        if masked:
            key = wire[at : at + 4]
            at += 4
        payload = wire[at : at + n]
        assert len(payload) == n, "a frame is cut"
        at += n
        found.append((first, key, mask(payload, key) if key else payload))
    return found


class Stream(io.IOBase):
    """A non-blocking stream: gives `data` and takes into `written`, `chunk` bytes at a time.

    `room` bytes are taken in all, then it blocks; without data it blocks, or ends if `ended`.
    """

    def __init__(self, data=b"", chunk=1 << 30, room=1 << 30, ended=False):
        self.data = data
        self.chunk = chunk
        self.room = room
        self.ended = ended
        self.written = bytearray()

    def readinto(self, buf):
        n = min(len(buf), len(self.data), self.chunk)
        if not n and not self.ended:
            return None
        buf[:n] = self.data[:n]
        self.data = self.data[n:]
        return n

    def write(self, data):
        n = min(len(data), self.chunk, self.room)
        if not n:
            return None
        self.written += data[:n]
        self.room -= n
        return n

    def ioctl(self, request, arg):
        return 0


class Broken(io.IOBase):
    """A stream with an error, errno 5."""

    def readinto(self, buf):
        return -5

    def write(self, data):
        return -5


class Peer:
    """A server in this process with one connection, that speaks by hand; needs pump.step."""

    def __init__(self, step):
        # Machines without a network have some of the other tests.
        import os
        import socket
        from errno import EADDRINUSE

        self._step = step
        while True:
            self._port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
            self.listener = socket.socket()
            try:
                self.listener.bind(socket.getaddrinfo("127.0.0.1", self._port)[0][-1])
                break
            except OSError as e:
                self.listener.close()
                if e.errno != EADDRINUSE:
                    raise
        self.listener.listen(1)
        self.host = f"127.0.0.1:{self._port}"
        self.url = f"ws://{self.host}/"
        self.sock = None

    def until(self, done, turns=200):
        """Turn the crank until done() is true."""
        while not done():
            turns -= 1
            assert turns, "it takes too long"
            self._step(10)

    def accept(self):
        """Take the connection; returns the request's head, bytes."""
        self._step(10)
        self._step(10)
        self.sock = self.listener.accept()[0]
        self.sock.setblocking(False)
        return self.read(lambda got: got.endswith(b"\r\n\r\n"))

    def read(self, done):
        """Read until done(bytes so far) is true, and return them."""
        got = b""
        turns = 200
        while not done(got):
            turns -= 1
            assert turns, f"it takes too long: {got}"
            got += self.sock.read(2000) or b""
            if not done(got):
                self._step(10)
        return got

    def upgrade(self, headers=""):
        """Take the connection and answer with a 101; returns the request's head."""
        from _wscore import accept

        head = self.accept()
        for line in head.split(b"\r\n"):
            name, _, value = partition(line, b": ")
            if name == b"Sec-WebSocket-Key":
                answer = accept(value).decode()
        self.sock.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {answer}\r\n{headers}\r\n"
        )
        return head

    def close(self):
        if self.sock:
            self.sock.close()
        self.listener.close()
