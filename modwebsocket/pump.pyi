from collections.abc import Callable, Collection
from typing import Final, TypedDict

from typing_extensions import Buffer, Unpack

OPENED: Final = 3
DRAINED: Final = 4
ENDED: Final = 5

class _Limits(TypedDict, total=False):
    rx_len: int
    tx_len: int
    max_message_len: int
    max_queue_len: int

class Link:
    on_message: Callable[[int, str | bytes], object]
    no_memory: str | None
    notify_drained: bool
    stage: str
    cause: str | None
    errno: int
    status: int
    code: int
    reason: str
    text: str
    unsent_len: int

    def __init__(
        self,
        url: str,
        handler: Callable[[int, str | bytes | None], object],
        *,
        headers: Collection[tuple[str, str]] = (),
        defaults: Collection[tuple[str, str]] = (),
        protocols: Collection[str] = (),
        name_port: bool = False,
        connect_timeout_ms: int = 10000,
        ping_interval_ms: int = 30000,
        close_timeout_ms: int = 5000,
        **limits: Unpack[_Limits],
    ) -> None: ...
    def send(self, data: str | Buffer, opcode: int = 1) -> bool: ...
    def close(self, code: int = 1000, reason: str | Buffer = "") -> None: ...
    def abort(self, cause: str) -> None: ...

def step(wait_ms: int = -1) -> bool: ...
def run() -> None: ...
