from typing import Any

from typing_extensions import Buffer

from . import blocking
from .upgrade import Request

class Incoming:
    def __init__(
        self,
        sock: object,
        role: int = 1,
        max_head_len: int = 4096,
        max_message_len: int = 16384,
        **options: Any,
    ) -> None: ...
    def request(self, timeout_ms: int = 10000) -> Request: ...
    def open(
        self,
        head: Buffer = b"",
        timeout_ms: int = 10000,
        max_unread_len: int = 4096,
        ping_interval_ms: int = 30000,
        close_timeout_ms: int = 5000,
    ) -> blocking.WebSocket: ...
    def refuse(self, status: int = 0, text: str = "") -> None: ...
    def close(self) -> None: ...
