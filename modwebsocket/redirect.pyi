from typing import Any

from .handshake import Response
from .link import Link

_Address = tuple[bool, str, int, str, str]

def resolve(address: _Address, reference: str) -> _Address: ...

class Redirects:
    def __init__(
        self, left: int, address: _Address, how: tuple[Any, ...], trust: dict[str, Any]
    ) -> None: ...
    def take(self, response: Response) -> bool: ...
    def follow(self, link: Link) -> bool: ...
