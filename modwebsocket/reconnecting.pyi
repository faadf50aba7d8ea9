from collections.abc import Callable
from typing import Any

from typing_extensions import Buffer

from .link import Link
from .reconnect import Policy

class Reconnecting:
    link: Link | None
    policy: Policy

    def __init__(
        self,
        url: str,
        handler: Callable[[int, Any], object],
        policy: Policy | None = None,
        **options: Any,
    ) -> None: ...
    def send(self, data: str | Buffer, opcode: int = 1) -> bool: ...
    def close(self, code: int = 1000, reason: str | Buffer = "") -> None: ...
    def abort(self, cause: str) -> None: ...
