"""A server that says no: its status, headers and the beginning of its body can be read."""

import asyncio

import pytest
from peer.servers import CLOSE, FIN, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))


def saying(answer, then="ended"):
    """A handler: sends an answer; then waits for the client's end ("ended"), or ends ("close")."""

    async def server(wire):
        await wire.request()
        await wire.send(answer)
        await getattr(wire, then)()

    return server


@pytest.mark.parametrize("status", [401, 503])
def test_real_servers_refusal_can_be_read(serve, visit, kind, status):
    def refuse(path):
        return status, {"WWW-Authenticate": 'Basic realm="x"', "X-Path": path}, "not\nyou"

    server = serve(None, kind, refuse=refuse)
    assert visit("""
        visit(url + "a?b")
        print(answer["www-authenticate"], answer["x-path"])
    """, server.url) == [
        f"refused {status} HTTP {status} b'not\\nyou'", 'Basic realm="x" /a?b']


HEAD = b"HTTP/1.1 404 Not Found\r\nX-A: b\r\n"
LONG = b"0123456789" * 500


@pytest.mark.parametrize(("answer", "then", "body"), [
    (HEAD + b"Content-Length: 5\r\n\r\nhello", "ended", b"hello"),
    (HEAD + b"Content-Length: 0\r\n\r\n", "ended", b""),
    (HEAD + b"Content-Length: 5000\r\n\r\n" + LONG, "ended", LONG[:1024]),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "ended",
     b"hello"),
    (HEAD + b"\r\nhello", "close", b"hello"),
    (HEAD + b"\r\n" + LONG, "close", LONG[:1024]),
    # What is missing of an explanation is no reason to give another one.
    (HEAD + b"Content-Length: 9\r\n\r\nhello", "close", b"hello"),
    (HEAD + b"Content-Length: 9\r\n\r\n", "close", b""),
    (b"HTTP/1.1 204 No\r\n\r\nX", "ended", b""),
])
def test_body_of_a_refusal(serve, visit, answer, then, body):
    server = serve(saying(answer, then))
    status = answer[9:12].decode()
    assert visit("visit(url, connect_timeout_ms=60000)", server.url) == [
        f"refused {status} HTTP {status} {body}"]
    server.result()


def test_body_that_does_not_end_is_waited_for_a_second(serve, visit):
    server = serve(saying(HEAD + b"\r\nhello"))
    assert visit("""
        import time
        began_at = time.ticks_ms()
        visit(url)
        print(900 < time.ticks_diff(time.ticks_ms(), began_at) < 4000)
    """, server.url) == ["refused 404 HTTP 404 b'hello'", "True"]


def test_reset_within_the_body(serve, visit, target):
    async def server(wire):
        await wire.request()
        await wire.send(HEAD + b"Content-Length: 99\r\n\r\nhello")
        await asyncio.sleep(0.3)
        await wire.drop()

    # QEMU's network makes an ordinary end of a reset.
    assert visit("visit(url)", serve(server).url) == ["refused 404 HTTP 404 b'hello'"]


def test_body_is_not_waited_for_unless_wanted(serve, visit):
    server = serve(saying(HEAD + b"Content-Length: 99\r\n\r\nhello"))
    assert visit("visit(url, max_body_len=0)\nprint(answer['x-a'])", server.url) == [
        "refused 404 HTTP 404 b''", "b"]


def test_body_byte_by_byte(serve, visit, target):
    async def server(wire):
        await wire.request()
        wire.writer.get_extra_info("socket").setsockopt(6, 1, 1)  # TCP_NODELAY
        for byte in HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n":
            await wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        await wire.ended()

    assert visit("visit(url)", serve(server).url) == ["refused 404 HTTP 404 b'hello'"]


def test_wrong_101_can_be_read(serve, visit):
    async def server(wire):
        await wire.request()
        await wire.send(wire.answer(Sec_WebSocket_Accept="wrong", X_A="b"))
        await wire.ended()

    assert visit("visit(url)\nprint(answer['sec-websocket-accept'], answer['x-a'])",
                 serve(server).url) == ["refused 101 Sec-WebSocket-Accept b''", "wrong b"]


def test_what_is_not_http_has_no_status(serve, visit):
    server = serve(saying(b"SSH-2.0-OpenSSH_9.2p1\r\n"))
    assert visit("visit(url)\nprint(answer or {})", server.url) == ["refused 0 not HTTP b''", "{}"]


def test_answer_of_an_open_connection_is_kept_if_asked(serve, visit, kind):
    async def server(peer):
        await peer.close(1000)

    server = serve(server, kind)
    assert visit("""
        visit(url)
        print(answer)
        visit(url, keep_response=True)
        print(answer["upgrade"].lower(), "date" in answer)
    """, server.url) == [*["open", "ended 1000 peer", "None"],
                         *["open", "ended 1000 peer", "websocket True"]]


def test_close_while_the_body_comes_is_a_close(serve, target):
    server = serve(saying(HEAD + b"\r\nhello"))
    result = target.run("""
import sys, modwebsocket
link = modwebsocket.Link(sys.argv[1], lambda event, data: print(event))
while not link._conn.response.body:
    modwebsocket.step()
link.close()
modwebsocket.run()
print(link.cause, link.status, link.response.body)
""", server.url)
    assert (result.lines, result.errors) == (["5", "closed 404 b'hello'"], ""), result


@pytest.mark.not_on("lx106", "its TLS is tested in test_tls.py")
def test_refusal_over_tls(serve, visit, certificates):
    server = serve(saying(HEAD + b"\r\nhello", "close"), tls=certificates.server())
    lines = visit("visit(url, cadata=sys.argv[2])", server.url, certificates.pem)
    assert lines == ["refused 404 HTTP 404 b'hello'"]
