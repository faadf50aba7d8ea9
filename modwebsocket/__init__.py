"""modwebsocket: a WebSocket for MicroPython (RFC 6455)."""

try:
    from _wscore import native
except (ImportError, MemoryError, ValueError) as e:
    from ._unfit import explain

    raise explain(e)

from .connection import Connection
from .errors import HandshakeError, URLError, WebSocketError
from .link import Link
from .pump import run, step

# With one name more the table of them would grow, and take 48 bytes of RAM.
del errors  # noqa: F821

__version__ = "0.1.0"


def connect(url, **options):
    """Connect, and return once that is done: see blocking.WebSocket, which this loads."""
    from .blocking import WebSocket

    return WebSocket(url, **options)
