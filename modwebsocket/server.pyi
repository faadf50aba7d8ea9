from collections.abc import Callable, Collection, Coroutine
from types import TracebackType
from typing import Any, Self, TypeAlias, TypedDict

from typing_extensions import Buffer, Unpack

from .aio import WebSocket

_Body: TypeAlias = str | bytes | tuple[str, str | bytes] | None
_Page: TypeAlias = str | bytes | Callable[[str], _Body]

class _Limits(TypedDict, total=False):
    rx_len: int
    tx_len: int
    max_queue_len: int

class Server:
    clients: list[WebSocket]

    def __init__(
        self,
        handler: Callable[[WebSocket], Coroutine[Any, Any, object]],
        host: str | None,
        port: int,
        page: _Page | None = None,
        protocols: Collection[str] | Callable[[list[str]], str | None] = (),
        origins: Collection[str | None] | Callable[[str | None], object] | None = None,
        max_connections: int = 4,
        max_head_len: int = 4096,
        request_timeout_ms: int = 5000,
        ping_interval_ms: int = 30000,
        close_timeout_ms: int = 5000,
        max_inbox: int = 16,
        max_inbox_len: int = 16384,
        max_message_len: int = 16384,
        **limits: Unpack[_Limits],
    ) -> None: ...
    def broadcast(self, data: str | Buffer, opcode: int = 1, drop: bool = False) -> int: ...
    def close(self, code: int = 1001, reason: str | Buffer = "") -> None: ...
    def wait_closed(self) -> Coroutine[Any, Any, None]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...
