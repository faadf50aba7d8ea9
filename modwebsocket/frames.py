"""Single frames (RFC 6455 §5.2), for those who make or read them by hand.

`blocking.WebSocket.send_raw()` sends one.  Loaded by those who need it.
"""

import os
import select
from errno import EINVAL, ETIMEDOUT
from time import ticks_diff, ticks_ms

from micropython import const

from _wscore import mask

_EILSEQ = const(84)  # not in every port's errno
_PIECE_LEN = const(512)


def build(first, data=b"", masked=False, key=None):
    """A frame, bytes; nothing of it is checked.

    first: its first byte: FIN, the reserved bits, the opcode. data: str or bytes-like.
    masked: True masks it, with key (4 bytes), None: a random one.
    """
    data = bytearray(memoryview(data))
    n = len(data)
    bit = 128 if masked else 0
    if n < 126:
        head = bytes((first, bit | n))
    elif n < 65536:
        head = bytes((first, bit | 126)) + n.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + n.to_bytes(8, "big")
    if masked:
        key = os.urandom(4) if key is None else bytes(key)
        mask(data, key, 0)
        head += key
    return head + data


def read(sock, deadline=None, max_len=1 << 20):
    """Read a frame from a socket, all of it: (first, key, data).

    deadline: what time.ticks_ms() will be then, None: none; what has come by then is lost.
    max_len: of its payload, bytes.
    first: see build(). key: of the mask, bytes, b"" if there is none. data: bytes, unmasked.
    Raises OSError: ETIMEDOUT, EILSEQ if TCP ends before the frame, EINVAL if it is longer than
    max_len, or what the network says; MemoryError.
    """
    first, n = _exactly(sock, 2, deadline)
    key_len = n >> 5 & 4  # if the mask bit is set
    n &= 127
    if n > 125:
        n = int.from_bytes(_exactly(sock, 2 if n == 126 else 8, deadline), "big")
    if n > max_len:
        raise OSError(EINVAL)
    key = bytes(_exactly(sock, key_len, deadline))
    data = _exactly(sock, n, deadline)
    if key:
        mask(data, key, 0)
    return first, key, bytes(data)


def _exactly(sock, n, deadline):
    # So many bytes.  readinto() of a blocking socket would wait for all of them.
    data = bytearray(n)
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    have = 0
    while have < n:
        left = -1 if deadline is None else max(ticks_diff(deadline, ticks_ms()), 0)
        if not poller.poll(left):
            raise OSError(ETIMEDOUT)
        got = sock.recv(min(n - have, _PIECE_LEN))
        if not got:
            raise OSError(_EILSEQ)
        data[have : have + len(got)] = got
        have += len(got)
    return data
