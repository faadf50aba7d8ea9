from collections.abc import Callable, Collection

from typing_extensions import Buffer

# A handler may take fewer arguments.
_OnEvent = Callable[[WebSocket], object] | Callable[[], object]
_OnText = Callable[[WebSocket, str], object] | _OnEvent
_OnData = Callable[[WebSocket, str | bytes], object] | _OnEvent

class WebSocket:
    Connected: _OnEvent | None
    Data: _OnData | None
    Error: _OnText | None
    Closed: _OnEvent | None
    Pong: _OnEvent | None
    CaData: str | Buffer | None
    Pin: str | bytes | Collection[str | bytes] | None
    ChunkLen: int
    CloseCode: int
    CloseReason: str

    @staticmethod
    def New() -> WebSocket: ...
    def __init__(self) -> None: ...
    def __repr__(self) -> str: ...
    @property
    def IsConnected(self) -> bool: ...
    def Connect(
        self,
        protocol: str,
        host: str,
        url: str,
        port: int | str,
        sub_protocol: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None: ...
    def Write(self, message: str | Buffer, is_binary: bool = False) -> None: ...
    def Close(self) -> None: ...
    def Ping(self) -> None: ...
