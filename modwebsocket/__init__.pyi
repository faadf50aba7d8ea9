from typing import Any

from .blocking import WebSocket
from .connection import Connection as Connection
from .errors import HandshakeError as HandshakeError
from .errors import URLError as URLError
from .errors import WebSocketError as WebSocketError
from .link import Link as Link
from .pump import run as run
from .pump import step as step

__version__: str
native: bool

def connect(url: str, **options: Any) -> WebSocket: ...
