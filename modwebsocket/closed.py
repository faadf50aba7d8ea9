"""The errors of those who wait for something of a connection.

Loaded by `aio` and `blocking`.
"""

from errno import ECONNRESET, EIO, ENOTCONN, ETIMEDOUT

from .errors import HandshakeError


class ConnectionClosed(OSError):
    """The connection has ended.  args: (errno, cause)

    errno: what the network said, else ENOTCONN. cause: see Link.
    code, reason: of the peer's close frame; 1005 if it gave none, 1006 and "" if it sent none.
    """

    def __init__(self, link, code, reason):
        super().__init__(link.errno or ENOTCONN, link.cause)
        self.cause = link.cause
        self.code = code
        self.reason = reason


def failure(link):
    """The exception that says why a Link has ended without a connection."""
    cause = link.cause
    if cause == "http" or cause == "handshake":
        error = HandshakeError(link.text)
        error.status = link.status
        response = link.response
        error.headers = response.headers if response else {}
        error.body = response.body if response else b""
    elif cause == "memory":
        error = MemoryError()
    elif cause == "deadline":
        error = OSError(ETIMEDOUT, cause)
    elif cause == "eof":
        error = OSError(ECONNRESET, cause)
    else:
        error = OSError(link.errno or EIO, link.text or cause)
    return error
