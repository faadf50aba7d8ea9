from collections.abc import Callable

def is_worth_another_try(cause: str, code: int, status: int) -> bool: ...

class Policy:
    attempts: int

    def __init__(
        self,
        first_ms: int = 1000,
        max_ms: int = 60000,
        stable_ms: int = 30000,
        max_attempts: int = 0,
        worth: Callable[[str, int, int], bool] = is_worth_another_try,
        random: Callable[[int], int] | None = None,
    ) -> None: ...
    def wait_ms(
        self, cause: str, code: int = 1006, status: int = 0, open_ms: int = 0
    ) -> int | None: ...
