"""A client in pure Python, as those for MicroPython usually are: the baseline of board.py.

It blocks, reads a header by struct, masks byte by byte and trusts the server. It writes a frame
at once, which not all of them do. Runs on the board.
"""

import binascii
import os
import socket
import struct


def mask(key, data):
    """Return data masked by the 4 bytes of key."""
    return bytes(b ^ key[i % 4] for i, b in enumerate(data))


def read_frame(stream):
    """Return (opcode, payload) of the next frame."""
    first, second = struct.unpack("!BB", stream.read(2))
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", stream.read(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", stream.read(8))
    key = stream.read(4) if second & 0x80 else None
    payload = stream.read(length)
    return first & 0x0F, mask(key, payload) if key else payload


def write_frame(stream, opcode, payload):
    """Send a whole message, masked."""
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    key = os.urandom(4)
    stream.write(header + key + mask(key, payload))


def connect(url):
    """Return a socket behind the opening handshake."""
    host = url.split("/")[2]
    name, port = host.split(":")
    stream = socket.socket()
    stream.connect(socket.getaddrinfo(name, int(port))[0][-1])
    key = binascii.b2a_base64(os.urandom(16))[:-1].decode()
    stream.write(
        "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (host, key)
    )
    while stream.readline() != b"\r\n":
        pass
    return stream


def echo(url, count):
    """What board.py asks of every client: answer count texts with the same text."""
    stream = connect(url)
    for _ in range(count):
        opcode, payload = read_frame(stream)
        write_frame(stream, opcode, payload.decode().encode())
    stream.close()
