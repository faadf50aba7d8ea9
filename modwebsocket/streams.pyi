from collections.abc import Iterable
from typing import Protocol

from typing_extensions import Buffer

from .link import Link

class _Readable(Protocol):
    def readinto(self, buf: memoryview, /) -> int | None: ...

_Source = _Readable | Iterable[str | Buffer]

def send_stream(
    link: Link, source: _Source, opcode: int = 2, chunk_len: int = 512
) -> None: ...

class Fragments:
    waits: bool

    def __init__(self, source: _Source, opcode: int, link: Link, chunk_len: int = 512) -> None: ...
    def begin(self) -> None: ...
    def end(self) -> None: ...
    def put(self) -> bool | None: ...
    def pull(self) -> None: ...
