from collections.abc import Collection

from typing_extensions import Buffer

from .link import Link

def certificates(source: str | Buffer) -> list[bytes]: ...
def fingerprints(pin: str | bytes | Collection[str | bytes]) -> list[bytes]: ...

class Tls:
    request: bytes

    def __init__(
        self,
        host: str,
        cadata: str | Buffer | None = None,
        context: object | None = None,  # a tls.SSLContext
        pin: str | bytes | Collection[str | bytes] | None = None,
        verify: bool = True,
    ) -> None: ...
    def shake(self, link: Link) -> bool: ...
