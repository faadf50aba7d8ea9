from .connection import Connection as Connection
from .connection import WebSocketError as WebSocketError
from .handshake import HandshakeError as HandshakeError
from .pump import Link as Link
from .pump import run as run
from .pump import step as step
from .url import URLError as URLError

__version__: str
