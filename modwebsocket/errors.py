"""The errors that are ours; the network's are OSError, our caller's ValueError and TypeError."""


class URLError(ValueError):
    """A URL that cannot be used.

    args: (part, text); part is "scheme", "userinfo", "length", "port", "host" or "path", and the
    parts are checked in this order.
    """


class HandshakeError(Exception):
    """The server answered, but this is no WebSocket.  args: (text,)

    Where connect() raises it, it has the answer's status (int, 0 if it was not HTTP), headers (see
    handshake.Response) and the beginning of its body.
    """

    status: int
    headers: dict
    body: bytes


class WebSocketError(Exception):
    """What the peer did, or what we could not take from it.  args: (code, text).

    code: the close code that says so (RFC 6455 §7.4.1). text: "protocol", "text" (not UTF-8),
    "too big", "memory" or "reassembly" (no memory for a message of one frame, of several).
    """
