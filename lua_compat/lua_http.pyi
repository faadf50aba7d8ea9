from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypedDict

from typing_extensions import Buffer

from . import lua_http_client, lua_http_server

_Failed = tuple[None, str | None, int]
_Done = tuple[Literal[True], None, None] | _Failed
_Kind = Literal["text", "binary"]

class _Frame(TypedDict, total=False):
    FIN: bool
    RSV1: bool
    RSV2: bool
    RSV3: bool
    MASK: bool
    opcode: int
    key: Iterable[int]
    length: int
    data: str | Buffer

class _Options(TypedDict, total=False):
    headers: Headers
    protocols: Iterable[str]

class _URI(TypedDict, total=False):
    scheme: str
    host: str
    port: int | str
    path: str
    query: str
    userinfo: str

def check(result: tuple[Any, Any, Any]) -> Any: ...
def build_frame(desc: _Frame) -> bytes: ...
def read_frame(
    sock: object, deadline: int | None = None
) -> tuple[_Frame, None, None] | _Failed: ...
def build_close(
    code: int | None = None, message: str | Buffer | None = None, mask: bool = False
) -> _Frame: ...
def parse_close(data: bytes) -> tuple[int | None, bytes | None]: ...

class Headers:
    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None: ...
    def append(self, name: str, value: str, never_index: bool = False) -> None: ...
    def get(self, name: str) -> str | None: ...
    def has(self, name: str) -> bool: ...
    def get_comma_separated(self, name: str) -> str | None: ...
    def upsert(self, name: str, value: str) -> None: ...
    def delete(self, name: str) -> bool: ...
    def clone(self) -> Headers: ...
    def each(self) -> Iterator[tuple[str, str]]: ...
    def __iter__(self) -> Iterator[tuple[str, str]]: ...

def new(type: Literal["client", "server"]) -> WebSocket: ...
def new_from_uri(
    uri: str | _URI, protocols: Iterable[str] | None = None, **options: Any
) -> WebSocket: ...
def new_stream(sock: object, **options: Any) -> lua_http_server.Stream: ...
def new_from_stream(
    stream: object, headers: Headers | dict[str, str]
) -> tuple[WebSocket, None, None] | _Failed: ...

class WebSocket:
    close_timeout: float
    type: Literal["client", "server"]
    readyState: int
    protocol: str | None
    protocols: list[str] | None
    headers: Headers | None
    key: str | None
    request: lua_http_client.Request
    stream: lua_http_server.Stream | None
    socket: object
    last_error: _Failed | None
    got_close_code: int | None
    got_close_message: str | None

    def __init__(self, type: Literal["client", "server"]) -> None: ...
    def __str__(self) -> str: ...
    def connect(self, timeout: float | None = None) -> _Done: ...
    def accept(self, options: _Options | None = None, timeout: float | None = None) -> _Done: ...
    def receive(
        self, timeout: float | None = None
    ) -> tuple[str | bytes, _Kind, None] | _Failed: ...
    def each(self) -> Iterator[tuple[str | bytes, _Kind]]: ...
    def send_frame(self, frame: _Frame, timeout: float | None = None) -> _Done: ...
    def send(
        self,
        data: str | Buffer,
        opcode: _Kind | int | None = None,
        timeout: float | None = None,
    ) -> _Done: ...
    def send_ping(self, data: str | Buffer = b"", timeout: float | None = None) -> _Done: ...
    def send_pong(self, data: str | Buffer = b"", timeout: float | None = None) -> _Done: ...
    def close(
        self, code: int = 1000, reason: str | Buffer | None = None, timeout: float | None = None
    ) -> Literal[True]: ...

methods = mt = WebSocket
