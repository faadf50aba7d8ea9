from modwebsocket.accepting import Incoming

from .lua_http import Headers, WebSocket, _Done, _Failed, _Options

class Stream(Incoming):
    type: str
    version: float

    def get_headers(
        self, timeout: float | None = None
    ) -> tuple[Headers, None, None] | _Failed: ...
    def refuse(self, message: str = "", status: int = 0) -> None: ...  # type: ignore[override]

def from_stream(
    stream: object, headers: Headers | dict[str, str]
) -> tuple[WebSocket, None, None] | _Failed: ...
def accept(ws: WebSocket, options: _Options, timeout: float | None) -> _Done: ...
def adopt(ws: WebSocket) -> None: ...
