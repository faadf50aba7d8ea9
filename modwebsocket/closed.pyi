from .link import Link

class ConnectionClosed(OSError):
    cause: str
    code: int
    reason: str

    def __init__(self, link: Link, code: int, reason: str) -> None: ...

def failure(link: Link) -> Exception: ...
