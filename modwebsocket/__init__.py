"""modwebsocket: a WebSocket for MicroPython (RFC 6455)."""

from .connection import Connection, WebSocketError
from .handshake import HandshakeError
from .pump import Link, run, step
from .url import URLError

__version__ = "0.1.0"
