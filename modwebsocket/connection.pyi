from collections.abc import Collection
from typing import Final

from typing_extensions import Buffer

from .handshake import HandshakeError, Response

CLIENT: Final = 0
SERVER: Final = 1

CONNECTING: Final = 0
OPEN: Final = 1
CLOSING: Final = 2
CLOSED: Final = 3

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NONE: Final = 0
OPENED: Final = 3
FAILED: Final = -1

NOT_TAKEN: Final = -2

class WebSocketError(Exception): ...

def check_close(code: int, reason: str | Buffer) -> bytes: ...

# A stream is an object with MicroPython's stream protocol, which no Python type can tell.
class Connection:
    state: int
    close_code: int
    close_reason: str
    error: HandshakeError | WebSocketError | None
    response: Response | None
    protocol: str | None
    queued_len: int

    def __init__(
        self,
        seed: Buffer,
        *,
        role: int = 0,
        rx_len: int = 1024,
        tx_len: int = 536,
        max_message_len: int = 1048576,
        max_queue_len: int = 65536,
    ) -> None: ...
    def start(self, request: bytes, key: bytes, protocols: Collection[str] = ()) -> None: ...
    def fill(self, stream: object, /) -> int | None: ...
    def next_event(self) -> int: ...
    def data(self) -> str | bytes: ...
    def readinto(self, buf: Buffer, /) -> int: ...
    def unsent_len(self) -> int: ...
    def fail(self, code: int, text: str) -> None: ...
    def send(self, data: str | Buffer, opcode: int = 1) -> None: ...
    def send_now(self, data: str | Buffer, opcode: int = 1, stream: object = None) -> int: ...
    def send_later(self, data: str | Buffer, opcode: int = 1) -> None: ...
    def close(self, code: int = 1000, reason: str | Buffer = "") -> None: ...
    def flush(self, stream: object) -> int: ...
