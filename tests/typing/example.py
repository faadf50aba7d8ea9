"""A script that uses every public function, for mypy to read: nothing runs it.

A line that ends in `type: ignore` is one that the stubs must refuse.
"""

import io
import os
import socket

import websocket
from _wscore import Codec, accept, check, mask
from modwebsocket import HandshakeError, Link, URLError, WebSocketError, handshake, run, step
from modwebsocket.connection import CLIENT, NONE, OPENED, PING, TEXT, Connection, check_close
from modwebsocket.pump import DRAINED, ENDED
from modwebsocket.url import is_plain, parse, partition

# ---- NodeMCU


def on_connection(ws: websocket.Client) -> None:
    ws.send("hello")
    ws.send(b"\0", 2)
    ws.send(bytearray(3), opcode=PING)


def on_receive(ws: websocket.Client, message: str | bytes, opcode: int) -> None:
    ws.send(message, opcode)


def on_close(ws: websocket.Client, status: int) -> None:
    print(status, ws.close_code, ws.close_reason, ws.http_status, ws.errno, ws.stage)
    print(ws.unsent_len)


class Chat:
    def __init__(self) -> None:
        self.last: str | bytes = ""

    def on_receive(self, ws: websocket.Client, message: str | bytes) -> None:
        self.last = message


client = websocket.createClient()
client.config({"headers": {"User-Agent": "x"}, "protocol": None, "ping_interval_ms": 0})
client.on("connection", on_connection)
client.on("receive", on_receive)
client.on("receive", Chat().on_receive)
client.on("receive", lambda ws, message, opcode: print(message, opcode))
client.on("receive", lambda ws: ws.close())
client.on("close", on_close)
client.on("close", on_connection)
client.on("close", lambda: None)
client.on("sent", on_connection)
client.on("sent", None)
client.connect("ws://example.com/")
client.close()
webrepl = websocket.websocket(socket.socket(), True)
webrepl.ioctl(9, 2)
print(webrepl.read(), webrepl.readline(), webrepl.readinto(bytearray(9)), webrepl.write("x"))
webrepl.close()

client.on("message", on_receive)  # type: ignore[call-overload]
client.on("connection", on_receive)  # type: ignore[call-overload]
client.on("close", on_receive)  # type: ignore[call-overload]
client.on("sent", lambda ws, status: None)  # type: ignore[call-overload]
client.config({"header": {}})  # type: ignore[typeddict-unknown-key]
client.config({"protocol": 1})  # type: ignore[typeddict-item]
client.send(1)  # type: ignore[arg-type]

# ---- The engine's callbacks


def handler(event: int, data: str | bytes | None) -> None:
    if event == OPENED:
        print(link.send("hello"), link.send(b"", PING))
    elif event == DRAINED:
        link.close(1001, "bye")
    elif event == ENDED:
        print(link.cause, link.stage, link.errno, link.status, link.code, link.reason, link.text)
        print(link.unsent_len)
    elif data:
        link.abort("enough")


def on_message(opcode: int, data: str | bytes) -> None:
    print(opcode, len(data))


try:
    link = Link("ws://example.com", handler, headers=[("A", "b")], name_port=True, rx_len=2048)
    link.on_message = on_message
    link.notify_drained = True
except URLError as e:
    print(e.args)
while step(100):
    pass
run()

Link("ws://example.com", handler, rx_buffer_len=2048)  # type: ignore[call-arg]

# ---- A transport of one's own

secure, host, port, path, userinfo = parse("ws://u:p@example.com/")
assert is_plain(path)
scheme, found, rest = partition("ws://host", "://")
handshake.check_header("Authorization", handshake.basic_auth(userinfo))
key = b"dGhlIHNhbXBsZSBub25jZQ=="
response = handshake.Response()
try:
    response.feed(b"HTTP/1.1 101 Switching Protocols")
    print(response.check(key, ["chat"]), response.status, response.headers)
except HandshakeError as e:
    print(e, handshake.is_token(host), secure, port)

stream = io.BytesIO()
conn = Connection(os.urandom(20), role=CLIENT, max_message_len=1000)
conn.start(handshake.request(host, path, key, [("A", "b")]), key, ("chat",))
while conn.flush(stream) <= 0 and conn.fill(stream) != 0:
    event = conn.next_event()
    if event == NONE:
        continue
    if event == TEXT:
        conn.send(conn.data())
        if conn.send_now("x", TEXT, stream) < 0:
            conn.send_later("x")
    elif conn.error is None:
        conn.close(1000, "bye")
        print(conn.readinto(bytearray(99)), conn.state, conn.protocol, conn.queued_len)
        print(conn.unsent_len())
    elif isinstance(conn.error, WebSocketError):
        conn.fail(1009, "too big")
        print(conn.close_code, conn.close_reason, conn.response, check_close(1000, b""))

# ---- The core

codec = Codec(CLIENT, 1024, 536, 1 << 20, bytes(20))
codec.write(b"GET")
print(codec.fill(stream), codec.readline(), codec.read(), codec.next(), codec.data())
print(codec.readinto(bytearray(9)), codec.pong(), codec.send(0x81, "x"), codec.pending())
print(codec.send(0x81, "x", stream), codec.flush(stream), check(0x81, "x"), accept(key))
mask(bytearray(9), b"1234", 0)

codec.send(first=0x81, data="x")  # type: ignore[call-arg]
