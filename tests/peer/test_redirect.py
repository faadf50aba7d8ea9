"""A server that says to ask elsewhere: followed as often as allowed, with nobody's secrets."""

import asyncio

import pytest
from peer.servers import CLOSE, FIN, TEXT, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))
MOVED = "HTTP/1.1 {} Moved\r\nContent-Length: 3\r\nLocation: {}\r\n\r\nno\n"


async def greet(peer):
    """A handler of real servers: says hello and which path was asked for."""
    await peer.send("hello " + peer.path)
    await peer.close()


def moving(location, status=302):
    """A handler: answers the first request by a redirect, the others by a WebSocket."""

    async def server(wire):
        path = (await wire.request()).split(b" ")[1].decode()
        if path == "/" or "moved" in path:
            await wire.send(MOVED.format(status, location).encode())
            await wire.ended()
        else:
            await wire.send(wire.answer() + frame(FIN | TEXT, "hello " + path) + BYE)
            await wire.rest()
        return wire.head.decode()

    return server


GREETED = ["open", "hello /b?c=d", "ended 1000 peer"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_client_follows(serve, visit, kind, status):
    def refuse(path):
        return (status, {"Location": "b?c=d"}, "elsewhere") if path == "/a" else None

    server = serve(greet, kind, refuse=refuse)
    assert visit("visit(url + 'a', max_redirects=1)", server.url) == GREETED
    assert server.count == 1


def test_client_follows_to_another_server(serve, target, visit):
    server = serve(greet, "aiohttp")
    old = serve(moving(f"http://{target.host}:{server.port}/b?c=d#e"))
    lines = visit("visit(url, max_redirects=1, headers=[('X-A', 'b')], keep_response=True)\n"
                  "print(answer['upgrade'])", old.url)
    assert lines == [*GREETED, "websocket"]
    server.result()


def test_client_does_not_follow_unless_asked(serve, visit):
    server = serve(moving("/b?c=d", 307))
    lines = visit("visit(url)\nprint(answer['location'])", server.url)
    assert lines == ["refused 307 HTTP 307 b'no\\n'", "/b?c=d"]
    assert server.count == 1


@pytest.mark.parametrize(("status", "location", "text", "count"), [
    (302, "/moved", "redirect: too many", 4),
    (302, "ws://h:0/", "redirect: port", 1),
    (302, "ftp://example.com/", "redirect: scheme", 1),
    (302, "/a b", "redirect: path", 1),
    (301, "wss://127.0.0.1:1/", "redirect: wss:// needs cadata, pin or context, or verify=False",
     1),
    (300, "/b", "HTTP 300", 1),
    (304, "/b", "HTTP 304", 1),
    (305, "/b", "HTTP 305", 1),
])
def test_client_follows_no_further(serve, visit, status, location, text, count):
    server = serve(moving(location, status))
    body = b"" if status == 304 or text.startswith("red") else b"no\n"
    assert visit("visit(url, max_redirects=3)", server.url) == [f"refused {status} {text} {body}"]
    assert server.count == count


@pytest.mark.parametrize(("old", "new", "kept"), [("127.0.0.1", "localhost", False),
                                                  ("127.0.0.1", "127.0.0.1", True)])
@pytest.mark.not_on("lx106", "no name for the other machine")
def test_secrets_stay_with_the_server_that_they_are_for(serve, visit, old, new, kept):
    server = serve(moving(""))
    server._handler = moving(f"ws://{new}:{server.port}/b")
    lines = visit("""
        visit(url, max_redirects=1, headers=[
            ("Authorization", "Bearer x"), ("Cookie", "a=b"), ("X-Mine", "c")],
            defaults=[("proxy-authorization", "d")])
        visit(url.replace("//", "//user:pw@"), max_redirects=1)
    """, server.url)
    assert lines == ["open", "hello /b", "ended 1000 peer"] * 2
    first, second, third, fourth = [server.result(i) for i in range(4)]
    secrets = ("Authorization: Bearer x", "Cookie: a=b", "proxy-authorization: d")
    for secret in secrets:
        assert secret in first and (secret in second) == kept
    assert "X-Mine: c" in second
    assert "Authorization: Basic dXNlcjpwdw==" in third
    # An absolute URL stands for itself: what was before the host is not in it.
    assert "Authorization" not in fourth
    assert f"Host: {new}:{server.port}\r\n" in second


def test_userinfo_stays_on_the_way_to_a_relative_reference(serve, visit):
    server = serve(moving("b"))
    visit("visit(url.replace('//', '//user:pw@'), max_redirects=1)", server.url)
    for i in range(2):
        assert "Authorization: Basic dXNlcjpwdw==" in server.result(i)


def test_one_deadline_for_all(serve, visit):
    async def server(wire):
        await wire.request()
        await asyncio.sleep(0.3)
        await wire.send(MOVED.format(302, "/again").encode())
        await wire.ended()

    server = serve(server)
    assert visit("visit(url, max_redirects=99, connect_timeout_ms=1500)", server.url) == [
        "failed deadline"]
    assert 2 <= server.count <= 5


def test_answer_before_the_request_is_all_there_is_no_obstacle(serve, target):
    async def server(wire):
        if server.count == 1:
            await wire.send(MOVED.format(302, "/b").encode())
            await wire.reader.read(1)
            await asyncio.sleep(0.5)
            return 0
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += await wire.reader.read(1 << 20)
        wire.head = data
        await wire.send(wire.answer() + BYE)
        await wire.rest()
        return len(data)

    server = serve(server)
    n = target.fits(4_000_000, 3000)  # more than what is on the way can hold
    result = target.run("""
import sys, modwebsocket
link = modwebsocket.Link(sys.argv[1], lambda event, data: print(event), max_redirects=1,
                         headers=[("X-Long", "x" * int(sys.argv[2]))])
modwebsocket.run()
print(link.cause)
""", server.url, n, heap="64M")
    assert (result.lines, result.errors) == (["3", "5", "peer"], ""), result
    assert n < server.result(1) < n + 300


def test_close_on_the_way_ends_it(serve, target):
    server = serve(moving("/moved"))
    result = target.run("""
import sys, modwebsocket
hops = 0
def handler(event, data):
    print(event, link.cause)
link = modwebsocket.Link(sys.argv[1], handler, max_redirects=100)
while link._conn.response.redirects._left > 97:
    modwebsocket.step()
link.close()
modwebsocket.run()
""", server.url)
    assert (result.lines, result.errors) == (["5 closed"], ""), result
    assert 3 <= server.count <= 4


def test_messages_go_to_the_handler_that_was_told_before(serve, target):
    server = serve(moving("/b?c=d"))
    result = target.run("""
import sys, modwebsocket
def handler(event, data):
    print(event, data)
link = modwebsocket.Link(sys.argv[1], handler, max_redirects=1, parts=True)
link.on_message(lambda opcode, data: print("got", data, link.part()))
modwebsocket.run()
""", server.url)
    assert (result.lines, result.errors) == (
        ["3 None", "got b'hello /b?c=d' (0, True)", "5 None"], ""), result


# ---- wss://

TLS = pytest.mark.not_on("lx106", "its TLS is tested in test_tls.py")


@TLS
@pytest.mark.parametrize(("scheme", "follows"), [
    ("http", False), ("ws", False), ("https", True), ("wss", True)])
def test_from_wss_only_to_wss(serve, visit, certificates, scheme, follows):
    server = serve(greet, "websockets", tls=certificates.server() if follows else None)
    where = f"{scheme}://127.0.0.1:{server.port}/b?c=d"
    old = serve(moving(where), tls=certificates.server())
    lines = visit("visit(url, max_redirects=1, cadata=sys.argv[2])", old.url, certificates.pem)
    assert lines == (GREETED if follows else ["refused 302 redirect: from wss:// to ws:// b''"])
    assert server.count == follows


@TLS
def test_from_ws_to_wss_and_on(serve, visit, certificates):
    async def server(wire):
        path = (await wire.request()).split(b" ")[1]
        if path == b"/first":
            await wire.send(MOVED.format(302, "/b?c=d").encode())
            await wire.ended()
        else:
            await wire.send(wire.answer() + frame(FIN | TEXT, b"hello " + path) + BYE)
            await wire.rest()

    secured = serve(server, tls=certificates.server())
    old = serve(moving(f"https://localhost:{secured.port}/first"))
    assert visit("visit(url, max_redirects=2, cadata=sys.argv[2])",
                 old.url, certificates.pem) == GREETED


@TLS
def test_server_elsewhere_is_verified_too(serve, visit, certificates):
    server = serve(greet, "websockets", tls=certificates.server("stranger"))
    old = serve(moving(f"https://localhost:{server.port}/"))
    line, = visit("visit(url, max_redirects=2, cadata=sys.argv[2])", old.url, certificates.pem)
    assert line.startswith("failed The certificate is not correctly signed by the trusted CA")
    assert server.count == 0


# ---- Nothing is left behind


def test_many_redirects_leave_nothing_behind(serve, visit, target):
    server = serve(moving("/b?c=d"))
    rounds = target.fits(12, 8)
    lines = visit(f"""
        import gc, os
        files = sys.platform == "linux"
        for _ in range({rounds}):
            visit(url, max_redirects=1)
            gc.collect()
            gc.collect()
            print("left", gc.mem_alloc(), len(os.listdir("/proc/self/fd") if files else ""))
    """, server.url, timeout_s=20)
    left = [[int(word) for word in line.split()[1:]] for line in lines if line[:4] == "left"]
    assert lines.count("ended 1000 peer") == len(left) == rounds
    heap, files = zip(*left, strict=True)
    assert len(set(files)) == 1
    # The least of some: leftovers on the stack may keep what is garbage.
    assert min(heap[-3:]) - min(heap[2:-3]) < 200


# Connects again and again, the n-th allocation failing, until none is left to fail; each time
# there is one end, and the next connect works.
EACH = """
import sys
import failalloc
import modwebsocket

def handler(event, data):
    global ends
    if event == 5:
        ends += 1

def run(n):
    global link, ends
    link = None
    ends = 0
    failalloc.after(n)
    try:
        link = modwebsocket.Link(sys.argv[1], handler, max_redirects=1, keep_response=True)
    except MemoryError:
        pass
    try:
        modwebsocket.run()
    except MemoryError:
        print("run() raised", n)
    count = failalloc.count()
    failalloc.after(0)
    if ends != (link is not None):
        print("at", n, "ends", ends)
    return count

good = sys.argv[2]
causes = {}
run(0)
run(0)
n = 0
while True:
    n += 1
    count = run(n)
    cause = link.cause if link else "raised"
    causes[cause] = causes.get(cause, 0) + 1
    if count < n:
        break
    run(0)
    if link.cause != good:
        print("after", n, link.cause, link.text)
print(n > 100, sorted(causes))
"""


@pytest.mark.parametrize("path", ["", "no"])
def test_each_allocation_may_fail(serve, failalloc, path):
    async def server(wire):
        asked = (await wire.request()).split(b" ")[1]
        if asked == b"/":
            await wire.send(MOVED.format(302, "/b").encode())
            await wire.ended()
        elif asked == b"/no":
            await wire.send(b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
            await wire.ended()
        else:
            await wire.send(wire.answer() + BYE)
            await wire.rest()

    good = "http" if path else "peer"
    result = failalloc.run(EACH, serve(server).url + path, good, timeout_s=60)
    assert (result.status, result.errors) == (0, ""), result
    assert result.lines == [f"True {sorted(['raised', 'memory', good])}"]
