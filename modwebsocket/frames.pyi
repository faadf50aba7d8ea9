from collections.abc import Iterable

from typing_extensions import Buffer

def build(
    first: int,
    data: str | Buffer = b"",
    masked: bool = False,
    key: Iterable[int] | None = None,
) -> bytes: ...
def read(
    sock: object, deadline: int | None = None, max_len: int = 1048576
) -> tuple[int, bytes, bytes]: ...
