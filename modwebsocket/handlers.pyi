from collections.abc import Callable
from typing import Any

class Handler:
    owner: Any
    function: Callable[..., object]
    count: int

    def __init__(self, owner: Any, function: Callable[..., object]) -> None: ...
    def call(self, count: int, data: Any = None, opcode: Any = None) -> None: ...
    def attempt(self, count: int, data: Any = None, opcode: Any = None) -> None: ...
