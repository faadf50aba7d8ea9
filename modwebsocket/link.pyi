from collections.abc import Callable, Collection
from typing import Any, TypedDict

from typing_extensions import Buffer, Unpack

from .handshake import Response

class _Options(TypedDict, total=False):
    rx_len: int
    tx_len: int
    max_message_len: int
    max_queue_len: int
    parts: bool
    max_redirects: int
    max_body_len: int
    keep_response: bool
    cadata: str | Buffer | None
    context: object | None  # a tls.SSLContext
    pin: str | bytes | Collection[str | bytes] | None
    verify: bool

class Link:
    no_memory: str | None
    notify_drained: bool
    stage: str
    cause: str | None
    errno: int
    status: int
    response: Response | None
    code: int
    reason: str
    text: str
    unsent_len: int
    max_unanswered_pings: int
    part: Callable[[], tuple[int, bool]]

    def __init__(
        self,
        url: str,
        handler: Callable[[int, str | bytes | None], object],
        headers: Collection[tuple[str, str]] = (),
        defaults: Collection[tuple[str, str]] = (),
        protocols: Collection[str] = (),
        name_port: bool = False,
        connect_timeout_ms: int = 10000,
        ping_interval_ms: int = 30000,
        close_timeout_ms: int = 5000,
        **options: Unpack[_Options],
    ) -> None: ...
    def on_message(
        self, function: Callable[..., object], owner: Any = None, count: int = 2
    ) -> None: ...
    def send(self, data: str | Buffer, opcode: int = 1) -> bool: ...
    def send_now(self, data: str | Buffer, opcode: int = 1, /) -> int: ...
    def sent(self, result: int, data: str | Buffer, opcode: int) -> bool: ...
    def close(self, code: int = 1000, reason: str | Buffer = "") -> None: ...
    def abort(self, cause: str) -> None: ...
