"""A server's answer to a client's request, and the first frames behind it.

The outcome does not depend on how the bytes come.  If it opens the WebSocket, it says so in plain
words.

An input: flags (1: the smallest receive buffer, 2: sub-protocols are offered), how many bytes come
at once, and the answer.
"""

import fuzz

from modwebsocket.connection import Connection
from modwebsocket.errors import HandshakeError, WebSocketError
from modwebsocket.events import BINARY, CLOSE, FAILED, NONE, OPENED, PING, PONG, TEXT
from modwebsocket.handshake import Response

SEED = bytes(20)
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
LIMIT = 4096


def answered(wire, chunk, rx_len, protocols):
    """Everything that a client says of it."""
    response = Response(KEY, protocols)
    conn = Connection(SEED, rx_len=rx_len, max_message_len=LIMIT)
    conn.start(b"GET / HTTP/1.1\r\n\r\n", response)
    stream = fuzz.Stream(wire, chunk, True)
    got = []
    while conn.fill(stream):
        while True:
            event = conn.next_event()
            if event == NONE:
                break
            if event in (TEXT, BINARY, PING, PONG):
                data = conn.data()
                got.append((event, 0, data.encode() if event == TEXT else data))
            elif event == CLOSE:
                got.append((event, conn.close_code, conn.close_reason.encode()))
            else:
                got.append(event)
            if event == FAILED:
                error = conn.error
                assert isinstance(error, (HandshakeError, WebSocketError))
                if isinstance(error, WebSocketError):
                    got[-1] = (0, error.args[0], b"")
                return got, conn.error.args, response.status, response.headers, None
    return got, None, response.status, response.headers, conn.protocol


def run(data):
    if len(data) < 2:
        return
    rx_len = 139 if data[0] & 1 else 512
    protocols = ("chat", "v2.chat") if data[0] & 2 else ()
    wire = data[2:]
    outcome = answered(wire, b"", rx_len, protocols)
    again = answered(wire, data[1:2] if data[1] else b"\1", rx_len, protocols)
    assert again == outcome, (outcome, again)

    got, _, status, headers, protocol = outcome
    if OPENED not in got:
        assert got in ([], [FAILED]), got
        return
    assert got[0] == OPENED and status == 101
    assert protocol is None or protocol in protocols
    at = 0
    lines = []
    while not lines or lines[-1]:
        end = wire.find(b"\n", at)
        assert end >= 0
        line = wire[at:end]
        lines.append(line[:-1] if line.endswith(b"\r") else line)
        at = end + 1
    assert lines[0].startswith(b"HTTP/1.1 101")
    text = b"\n".join(lines).lower()
    for word in (b"upgrade", b"websocket", b"connection", ACCEPT.lower()):
        assert word in text
    assert ACCEPT in wire[:at]
    for name in headers:
        assert b"\n" + name.encode() + b":" in text, name
    events, _, _ = fuzz.decode(False, LIMIT, wire[at:])
    assert got[1:] == events, (got, events)
