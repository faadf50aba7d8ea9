from collections.abc import Callable
from typing import Literal, TypedDict, overload

from typing_extensions import Buffer

from modwebsocket import __version__ as __version__

# A handler may take fewer arguments than its event delivers.
_OnEvent = Callable[[Client], object] | Callable[[], object]
_OnReceive = (
    Callable[[Client, str | bytes, int], object]
    | Callable[[Client, str | bytes], object]
    | _OnEvent
)
_OnClose = Callable[[Client, int], object] | _OnEvent

class _Config(TypedDict, total=False):
    headers: dict[str, str] | None
    protocol: str | None
    max_message_len: int
    connect_timeout_ms: int
    ping_interval_ms: int
    close_timeout_ms: int
    rx_buffer_len: int
    tx_buffer_len: int
    cacert: str | bytes | None
    pin: str | bytes | None

def createClient() -> Client: ...

class Client:
    close_code: int
    close_reason: str
    http_status: int
    errno: int
    unsent_len: int
    stage: str | None

    def __init__(self) -> None: ...
    @overload
    def on(self, eventName: Literal["connection"], function: _OnEvent | None) -> None: ...
    @overload
    def on(self, eventName: Literal["receive"], function: _OnReceive | None) -> None: ...
    @overload
    def on(self, eventName: Literal["close"], function: _OnClose | None) -> None: ...
    @overload
    def on(self, eventName: Literal["sent"], function: _OnEvent | None) -> None: ...
    def config(self, params: _Config) -> None: ...
    def connect(self, url: str) -> None: ...
    def send(self, message: str | Buffer, opcode: int = 1) -> None: ...
    def close(self) -> None: ...

# MicroPython's own, for WebREPL.
class websocket:
    def __init__(self, sock: object, blocking: bool = False, /) -> None: ...
    def read(self, size: int = -1, /) -> bytes | None: ...
    def readinto(self, buf: Buffer, nbytes: int = ..., /) -> int | None: ...
    def readline(self, size: int = -1, /) -> bytes | None: ...
    def write(self, buf: str | Buffer, /) -> int | None: ...
    def ioctl(self, request: int, arg: int = 0, /) -> int: ...
    def close(self) -> None: ...
