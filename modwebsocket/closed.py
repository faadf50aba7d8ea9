"""The error of those who wait for something of a connection that has ended.

Loaded by `aio` and `blocking`.
"""

from errno import ENOTCONN


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
