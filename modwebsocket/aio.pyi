from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable
from types import TracebackType
from typing import Any, Self, TypedDict

from typing_extensions import Buffer, Unpack

from .closed import ConnectionClosed as ConnectionClosed
from .link import Link
from .server import Server, _Page
from .upgrade import Request

class _Options(TypedDict, total=False):
    headers: Collection[tuple[str, str]]
    defaults: Collection[tuple[str, str]]
    protocols: Collection[str]
    name_port: bool
    connect_timeout_ms: int
    ping_interval_ms: int
    close_timeout_ms: int
    rx_len: int
    tx_len: int
    max_message_len: int
    max_queue_len: int
    cadata: str | Buffer | None
    context: object | None
    pin: str | bytes | Collection[str | bytes] | None
    verify: bool
    max_redirects: int
    max_body_len: int
    keep_response: bool

class _ServerOptions(TypedDict, total=False):
    page: _Page | None
    protocols: Collection[str] | Callable[[list[str]], str | None]
    origins: Collection[str | None] | Callable[[str | None], object] | None
    max_connections: int
    max_head_len: int
    request_timeout_ms: int
    ping_interval_ms: int
    close_timeout_ms: int
    max_inbox: int
    max_inbox_len: int
    max_message_len: int
    rx_len: int
    tx_len: int
    max_queue_len: int

class WebSocket(Link):
    stage: str
    status: int
    protocol: str | None
    request: Request | None

    def __init__(self, max_inbox: int = 16, max_inbox_len: int = 16384) -> None: ...
    def send(  # type: ignore[override]
        self, data: str | Buffer, opcode: int = 1
    ) -> Coroutine[Any, Any, None]: ...
    def recv(self) -> Coroutine[Any, Any, str | bytes]: ...
    def ping(self) -> Coroutine[Any, Any, int]: ...
    def close(  # type: ignore[override]
        self, code: int = 1000, reason: str | Buffer = ""
    ) -> Coroutine[Any, Any, None]: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Awaitable[str | bytes]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

class _Connecting:
    def __await__(self) -> Generator[Any, Any, WebSocket]: ...
    def __aenter__(self) -> Awaitable[WebSocket]: ...
    def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Awaitable[None]: ...

def connect(
    url: str, max_inbox: int = 16, max_inbox_len: int = 16384, **options: Unpack[_Options]
) -> _Connecting: ...
def broadcast(
    clients: Iterable[WebSocket], data: str | Buffer, opcode: int = 1, drop: bool = False
) -> int: ...
async def serve(
    handler: Callable[[WebSocket], Coroutine[Any, Any, object]],
    host: str | None = None,
    port: int = 80,
    **options: Unpack[_ServerOptions],
) -> Server: ...
