from collections.abc import Callable, Collection
from typing import Any, Final, TypedDict

from typing_extensions import Buffer

EVENT_CONNECTED: Final = 0
EVENT_DISCONNECTED: Final = 1
EVENT_MESSAGE: Final = 2
EVENT_ERROR: Final = 3
DATA_TYPE_TEXT: Final = 1
DATA_TYPE_BINARY: Final = 2

# A callback may take fewer arguments.
_Callback = (
    Callable[[Any, Connection, Table], object]
    | Callable[[Any, Connection], object]
    | Callable[[Any], object]
    | Callable[[], object]
)

class _Params(TypedDict, total=False):
    timeout: float
    protocol: str | None
    headers: str | dict[str, str] | None
    context: Any
    ping_interval_ms: int
    close_timeout_ms: int
    rx_len: int
    tx_len: int
    max_message_len: int
    max_queue_len: int
    max_redirects: int
    max_body_len: int
    cadata: str | Buffer | None
    pin: str | bytes | Collection[str | bytes] | None

class _Options(TypedDict, total=False):
    type: int

class Table:
    event: int
    message: Any
    type: int
    code: int
    handshake_response: Table | None

    def __init__(self, event: int | None = None, message: Any = None) -> None: ...
    def __getattr__(self, key: str) -> Any: ...
    def __getitem__(self, key: str) -> Any: ...

class Connection:
    def __init__(self, url: str, context: Any, callback: _Callback) -> None: ...

def connect(url: str, params: _Params | None, callback: _Callback) -> Connection: ...
def disconnect(connection: Connection) -> None: ...
def send(
    connection: Connection, message: str | Buffer, options: _Options | None = None
) -> None: ...
