"""A script that uses every public function, for mypy to read: nothing runs it.

A line that ends in `type: ignore` is one that the stubs must refuse.
"""

import io
import os
import socket

import websocket
from _wscore import Codec, accept, call, check, mask
from lua_compat import defold, lua_http, lua_http_client, lua_http_server
from lua_compat.qsys import WebSocket
from modwebsocket import (
    HandshakeError,
    Link,
    URLError,
    WebSocketError,
    accepting,
    aio,
    connect,
    frames,
    handshake,
    native,
    pump,
    run,
    step,
    upgrade,
)
from modwebsocket.closed import ConnectionClosed, failure
from modwebsocket.connection import Connection, check_close
from modwebsocket.events import (
    CLIENT,
    DRAINED,
    END,
    ENDED,
    FLUSH,
    MORE,
    NONE,
    NOT_TAKEN,
    OPENED,
    PING,
    TEXT,
)
from modwebsocket.flow import pause, resume
from modwebsocket.handlers import Handler
from modwebsocket.pump import forget_handshake, load_handshake
from modwebsocket.reconnect import Policy, is_worth_another_try
from modwebsocket.reconnecting import Reconnecting
from modwebsocket.redirect import Redirects, resolve
from modwebsocket.secure import Tls, certificates, fingerprints
from modwebsocket.streams import Fragments, send_stream
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
client.config({"cacert": "/ca.pem", "pin": None})
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

# ---- Q-SYS


def on_data(ws: WebSocket, data: str | bytes) -> None:
    if ws.IsConnected:
        ws.Write(data, is_binary=True)
        ws.Ping()
        ws.Close()


qsys = WebSocket.New()
qsys.Connected = lambda: print("connected")
qsys.Data = on_data
qsys.Error = lambda ws, err: print(err)
qsys.Closed = qsys.Pong = None
qsys.CaData = "/ca.pem"
qsys.Connect("wss", "example.com", "/", "443", None, {"Authorization": "Bearer x"})

# ---- Defold


def on_event(self: object, conn: defold.Connection, data: defold.Table) -> None:
    if data.event == defold.EVENT_CONNECTED:
        defold.send(conn, "hello", {"type": defold.DATA_TYPE_TEXT})
        defold.send(conn, b"\0")
    elif data["event"] == defold.EVENT_DISCONNECTED:
        print(data.code, data.message, data.handshake_response)
        defold.disconnect(conn)


defold.connect("ws://example.com/", None, on_event)
defold.connect("ws://example.com/", {"timeout": 1000, "headers": "A: b\r\n"}, lambda self: None)

# ---- lua-http

lua = lua_http.new_from_uri("ws://example.com", ["chat"], cadata="/ca.pem")
lua = lua_http.new_from_uri({"scheme": "wss", "host": "example.com", "port": 1}, pin="00" * 32)
lua = lua_http_client.from_uri("ws://example.com", None, {})
print(lua_http_client.connect(lua, None))
lua.request.headers.append("X-A", "b")
lua.request.max_redirects = 0
done, why, errno = lua.connect(2.5)
if done and lua.headers:
    print(lua.headers.get("server"), lua.protocol, lua.readyState, lua.headers.has("x"))
print(lua.send("x"), lua.send(b"x", "binary", 0), lua.send_ping(), lua.send_pong(b"x"), why, errno)
received, kind, errno = lua.receive(0.5)
for received, kind in lua.each():
    print(received, kind)
lua.send_frame(lua_http.build_close(1000, "bye", True))
lua.send_frame({"FIN": True, "MASK": True, "opcode": 1, "data": "x"}, 5)
lua.close(1000, "bye", 3)
print(lua.last_error, lua.got_close_code, lua.got_close_message, lua_http.new("client"))
print(lua_http.build_frame({"opcode": 1}), lua_http.parse_close(b""))
print(lua_http.read_frame(socket.socket(), 5), lua_http.check((1, None, None)))
print(frames.build(0x81, "x", True, (1, 2, 3, 4)), frames.read(socket.socket(), max_len=9)[2])
stream_of = lua_http.new_stream(socket.socket(), max_message_len=99)
request_headers, why, errno = stream_of.get_headers(5)
if request_headers:
    accepted, why, errno = lua_http.new_from_stream(stream_of, request_headers)
    if accepted:
        accepted.accept({"headers": lua_http.Headers([("a", "b")]), "protocols": ["chat"]}, 5)
        lua_http_server.accept(accepted, {}, None)
        lua_http_server.adopt(accepted)
    else:
        stream_of.refuse(why or "", 400)
    request_headers.upsert("a", "b")
    print(request_headers.delete("a"), request_headers.clone().get_comma_separated("a"))
    print(list(request_headers.each()), lua_http_server.from_stream(stream_of, {}))
lua.send("x", "ping")  # type: ignore[arg-type]
lua.accept({"protocol": "x"})  # type: ignore[arg-type]

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
    link.on_message(on_message)
    if link.send_now("now", TEXT):
        link.sent(NOT_TAKEN, "now", TEXT)
    link.notify_drained = True
    link.max_unanswered_pings = 1
except URLError as e:
    print(e.args)
while step(100):
    pass
run()
print(load_handshake())
pump.timer_id = 0
forget_handshake()

Link("wss://example.com", handler, cadata=b"0", pin=["00" * 32, bytes(32)])
Link("wss://example.com", handler, verify=False)
Link("ws://example.com", handler, max_redirects=3, max_body_len=0, keep_response=True)
print(link.response and link.response.headers)
trust = Tls("example.com", cadata="/ca.der", pin=fingerprints("00" * 32))
print(certificates(bytearray(3)), trust.request, trust.shake(link))

Link("ws://example.com", handler, rx_buffer_len=2048)  # type: ignore[call-arg]
Link("wss://example.com", handler, pin=1)  # type: ignore[arg-type]

# ---- asyncio


async def converse() -> None:
    async with aio.connect("ws://example.com/", max_inbox=4, ping_interval_ms=0) as ws:
        await ws.send("hello")
        await ws.send(b"\0", 2)
        print(len(await ws.recv()), await ws.ping() + 1, ws.protocol, ws.code, ws.reason)
        try:
            async for message in ws:
                print(message)
        except aio.ConnectionClosed as closed:
            print(closed.code, closed.reason, closed.cause, closed.errno)
    ws = await aio.connect("ws://example.com/")
    await ws.close(1001, "bye")
    await ws.send(1)  # type: ignore[arg-type]
    try:
        await aio.connect("wss://example.com/", cadata="/ca.pem", max_redirects=1)
    except HandshakeError as refused:
        print(refused.status, refused.headers.get("location"), refused.body)
    await aio.connect("ws://example.com/", max_in=4)  # type: ignore[call-arg]


async def echo(ws: aio.WebSocket) -> None:
    if ws.request is not None:
        print(ws.request.path, ws.request.headers, ws.request.tokens("connection"))
    async for message in ws:
        await ws.send(message)


async def serve() -> None:
    async with await aio.serve(echo, "0.0.0.0", 80, page="<p>", origins=[None]) as server:
        print(server.broadcast("all"), aio.broadcast(server.clients, b"\0", 2, drop=True))
    server.close()
    await server.wait_closed()
    await aio.serve(echo, page=lambda path: ("text/css", b"") if path == "/x" else None)


asked = upgrade.Request(max_len=1000)
if asked.feed(b"GET / HTTP/1.1") and asked.is_upgrade():
    print(asked.answer(asked.check(["chat"], origins=lambda origin: origin is None)))
asked.check_http()
print(asked.method, asked.version, asked.status, upgrade.head(200, [("A", "b")]))
print(upgrade.response(200, 9, "text/html"), upgrade.refusal(404, "no"))

# ---- Waiting

try:
    with connect("ws://example.com", timeout_ms=5000, parts=True) as ws:
        ws.send("hello")
        ws.send_stream([b"a", b"b"], TEXT)
        ws.send_stream(io.BytesIO(b"abc"))
        print(ws.recv(timeout_ms=100), ws.opcode, ws.ping(), ws.link.cause)
        ws.send_raw(b"\x88\x80mask", closing=True)
        print(ws.recv_into(bytearray(9)), ws.offset, ws.final)
        for message in ws:
            print(len(message))
        ws.close(1001, "bye")
except ConnectionClosed as e:
    print(e.code, e.reason)

# ---- Flow, streams, coming back

pause(link)
resume(link)
send_stream(link, (str(i) for i in range(9)), TEXT)
fragments = Fragments([b"x"], 2, link)
fragments.begin()
if not fragments.put() and fragments.waits:
    fragments.pull()
fragments.end()
Link("ws://example.com", handler, parts=True).part()

policy = Policy(first_ms=500, worth=lambda cause, code, status: is_worth_another_try(cause, 1, 2))
print(policy.wait_ms("peer", code=1012), policy.attempts)
coming_back = Reconnecting("ws://example.com", handler, policy, rx_len=2048)
coming_back.send("hello")
coming_back.close()
coming_back.abort("enough")
print(coming_back.link, coming_back.policy)

# ---- A transport of one's own

secure, host, port, path, userinfo = parse("ws://u:p@example.com/")
assert is_plain(path)
scheme, found, rest = partition("ws://host", "://")
handshake.check_header("Authorization", handshake.basic_auth(userinfo))
key = b"dGhlIHNhbXBsZSBub25jZQ=="
response = handshake.Response(key, ["chat"])
try:
    response.feed(b"HTTP/1.1 101 Switching Protocols")
    print(response.check(), response.status, response.headers)
    response.redirects = Redirects(1, parse("ws://example.com/"), ((), ()), {})
    if response.redirects.take(response) and response.redirects.follow(link):
        print(resolve(parse("ws://example.com/"), "../b"), response.redirected)
    while response.body_left and not response.feed_body(b"no"):
        print(response.body)
except HandshakeError as e:
    print(e, handshake.is_token(host), secure, port)
request, response = handshake.ask(parse("ws://x.org/"), bytes(16), [("A", "b")], max_body_len=1024)
print(request, failure(link))

stream = io.BytesIO()
conn = Connection(os.urandom(20), role=CLIENT, max_message_len=1000)
conn.start(handshake.request(host, path, key, [("A", "b")]), response)
while conn.flush(stream) <= 0 and conn.fill(stream) != 0:
    event = conn.next_event()
    if event == NONE:
        continue
    if event == TEXT:
        conn.send(conn.data())
        conn.codec.deliver(on_message, None, 2)
        conn.codec.attach(stream)
        if conn.send_now("x", TEXT) == NOT_TAKEN:
            conn.send("x")
        if conn.see_to(conn.receive(stream)) not in (END, FLUSH, MORE):
            print(conn.codec.heard())
    elif conn.error is None:
        conn.close(1000, "bye")
        print(conn.readinto(bytearray(99)), conn.state, conn.protocol, conn.queued_len)
        print(conn.unsent_len())
    elif isinstance(conn.error, WebSocketError):
        conn.fail(1009, "too big")
        print(conn.close_code, conn.close_reason, conn.response, check_close(1000, b""))

told = Handler(conn, print)
told.call(1)
told.attempt(3, "data", TEXT)

incoming = accepting.Incoming(socket.socket(), max_message_len=1000, rx_len=512)
asked = incoming.request(timeout_ms=5000)
waiting = incoming.open(asked.answer(asked.check(["chat"])), ping_interval_ms=0)
waiting.close()
incoming.refuse(400, "no")
incoming.close()

# ---- The core

codec = Codec(CLIENT, 1024, 536, 1 << 20, bytes(20))
codec.write(b"GET")
print(codec.fill(stream), codec.readline(), codec.read(), codec.next(), codec.data())
print(codec.readinto(bytearray(9)), codec.pong(), codec.frame(0x81, "x"), codec.pending())
print(codec.flush(stream), check(0x81, "x"), accept(key))
codec.deliver(print, None, 2)
codec.attach(stream)
codec.buffered(True)
print(codec.serve(stream), codec.send("x", TEXT), codec.calling(), codec.heard())
mask(bytearray(9), b"1234", 0)
call(print, 1, "a", "b")
print(native)

codec.pause(True)
print(codec.part())

codec.send(data="x")  # type: ignore[call-arg]
