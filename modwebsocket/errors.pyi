class URLError(ValueError): ...

class HandshakeError(Exception):
    status: int
    headers: dict[str, str]
    body: bytes

class WebSocketError(Exception): ...
