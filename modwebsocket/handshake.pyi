from collections.abc import Collection

from .redirect import Redirects

def is_token(text: str) -> bool: ...
def check_header(name: str, value: str) -> None: ...
def basic_auth(userinfo: str) -> str: ...
def request(
    host: str,
    path: str,
    key: bytes,
    headers: Collection[tuple[str, str]] = (),
    defaults: Collection[tuple[str, str]] = (),
) -> bytes: ...

def ask(
    address: tuple[bool, str, int, str, str],
    nonce: bytes,
    headers: Collection[tuple[str, str]] = (),
    defaults: Collection[tuple[str, str]] = (),
    protocols: Collection[str] = (),
    name_port: bool = False,
    max_body_len: int = 0,
) -> tuple[bytes, Response]: ...

class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    body_left: int
    redirects: Redirects | None
    redirected: bool

    def __init__(
        self, key: bytes, protocols: Collection[str] = (), max_body_len: int = 0
    ) -> None: ...
    def feed(self, line: bytes, cut: bool = False) -> bool: ...
    def feed_body(self, data: bytes) -> bool: ...
    def check(self) -> str | None: ...
