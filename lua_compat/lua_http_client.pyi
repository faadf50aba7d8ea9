from collections.abc import Iterable
from typing import Any

from .lua_http import _URI, Headers, WebSocket, _Done

class Request:
    url: str
    headers: Headers
    follow_redirects: bool
    max_redirects: int
    ctx: object
    options: dict[str, Any]

    def __init__(self, url: str, options: dict[str, Any]) -> None: ...

def from_uri(
    uri: str | _URI, protocols: Iterable[str] | None, options: dict[str, Any]
) -> WebSocket: ...
def connect(ws: WebSocket, timeout: float | None) -> _Done: ...
