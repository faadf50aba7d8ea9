"""wss:// where the script waits, in asyncio and in the blocking style, as for callbacks."""

import asyncio
import threading

import pytest
from peer.certificates import pin
from peer.servers import BINARY, CLOSE, FIN, TEXT, close_payload, frame

pytestmark = pytest.mark.not_on("lx106", "its TLS is tested in test_tls.py")

BYE = frame(FIN | CLOSE, close_payload(1000))


async def echo(peer):
    """A handler of real servers: sends everything back."""
    while (message := await peer.recv()) is not None:
        await peer.send(message)
        if message == "bye":
            await peer.close()


# ---- Whom a client trusts


def test_client_trusts(serve, visit, kind, certificates):
    server = serve(echo, kind, tls=certificates.server())
    assert visit("""
        visit(url, say="bye", cadata=sys.argv[2])
        visit(url, say="bye", pin=sys.argv[3])
        visit(url, say="bye", verify=False)
    """, server.url, certificates.pem, pin(certificates.good)) == [
        "open", "bye", "ended 1000 peer"] * 3


REFUSED = {
    "wrong CA": ("stranger", "cadata={ca!r}", "The certificate is not correctly signed by"),
    "other host": ("other_host", "cadata={ca!r}", "The certificate Common Name (CN) does not"),
    "expired": ("expired", "cadata={ca!r}", "The certificate validity has expired"),
    "wrong pin": ("good", "pin='00' * 32", "pin: the server's is "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_client_refuses(serve, visit, certificates, case):
    name, trust, text = REFUSED[case]
    server = serve(echo, "websockets", tls=certificates.server(name))
    line, = visit(f"visit(url, {trust.format(ca=certificates.ca)})", server.url)
    assert line.startswith(f"failed {text}")
    assert server.count == 0


@pytest.mark.parametrize("call", ["modwebsocket.connect(url, {})",
                                  "asyncio.run(open_by_asyncio(url, {}))"])
def test_what_is_raised(serve, target, certificates, call):
    server = serve(echo, "websockets", tls=certificates.server("stranger"))
    result = target.run(f"""
import asyncio, sys
import modwebsocket
from modwebsocket import aio

async def open_by_asyncio(url, **options):
    return await aio.connect(url, **options)

url = sys.argv[1]
for what in (OSError, ValueError):
    try:
        if what is OSError:
            {call.format(f"cadata={str(certificates.pem)!r}")}
        else:
            {call.format("rx_len=1024")}
    except what as e:
        print(type(e).__name__, isinstance(e.args[0], str) or e.errno < -255, e.args[-1])
""", server.url)
    first, second = result.lines
    assert first.startswith("OSError True The certificate is not correctly signed by the trusted")
    assert second == "ValueError True wss:// needs cadata, pin or context, or verify=False"
    assert result.errors == ""


# ---- Addresses


@pytest.mark.parametrize(("host", "name", "line"), [
    ("::1", "good", "ended 1000 peer"),
    ("127.0.0.1", "good", "ended 1000 peer"),
    ("::1", "ipv4", "failed The certificate Common Name"),
    ("127.0.0.1", "ipv6", "failed The certificate Common Name"),
])
def test_address_in_the_certificate(serve, visit, certificates, host, name, line):
    server = serve(echo, "websockets", host=host, tls=certificates.server(name))
    at = f"[{host}]" if ":" in host else host
    lines = visit("visit(url, say='bye', cadata=sys.argv[2])", f"wss://{at}:{server.port}/",
                  certificates.pem)
    assert lines[-1].startswith(line)


def test_ipv6_address_goes_to_the_host_header(serve, visit, certificates):
    async def server(wire):
        await wire.open(BYE)
        await wire.rest()
        return wire.header("Host")

    server = serve(server, host="::1", tls=certificates.server())
    visit("visit(url, cadata=sys.argv[2])", f"wss://[::1]:{server.port}/", certificates.pem)
    assert server.result() == f"[::1]:{server.port}"


# ---- Cut short

CANCEL = """
import asyncio, gc, os, sys
from modwebsocket import aio, pump

async def cancel_at(stage, where):
    task = asyncio.create_task(aio.connect(where, cadata=sys.argv[4]).__iter__())
    for _ in range(100_000):
        await asyncio.sleep_ms(0 if stage != "http" else 1)
        if pump._links and pump._links[0].stage == stage:
            break
    # Some steps into it.
    for _ in range(3 if stage in ("tls", "http") else 0):
        await asyncio.sleep_ms(5)
    link = pump._links[0]
    print(stage, link.stage)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    assert not pump._by_sock and link._sock is None and link._stream is None
    for _ in range(3):
        await asyncio.sleep_ms(0)
    assert not pump._links and link.cause == "cancelled"

def files():
    return len(os.listdir("/proc/self/fd"))

async def main():
    counts = []
    for _ in range(3):
        await cancel_at("dns", sys.argv[1])
        await cancel_at("tcp", sys.argv[5])
        await cancel_at("tls", sys.argv[2])
        await cancel_at("http", sys.argv[3])
        counts.append(files())
        try:
            await asyncio.wait_for_ms(aio.connect(sys.argv[2], cadata=sys.argv[4]).__iter__(), 30)
        except asyncio.TimeoutError:
            print("timeout")
        async with aio.connect(sys.argv[1], cadata=sys.argv[4]) as ws:
            await ws.send("hello")
            print(await ws.recv())
    counts.append(files())
    print(min(counts) == max(counts))

asyncio.run(main())
"""


def test_connect_is_cancelled_at_each_stage(serve, target, certificates, black_hole):
    async def silent(wire):
        await wire.ended()

    async def silent_behind_tls(wire):
        await wire.request()
        await wire.ended()

    good = serve(echo, "websockets", tls=certificates.server())
    no_tls = serve(silent)
    no_http = serve(silent_behind_tls, tls=certificates.server())
    result = target.run(CANCEL, good.url, no_tls.url.replace("ws:", "wss:"), no_http.url,
                        certificates.pem, black_hole.replace("ws:", "wss:"))
    stages = [f"{stage} {stage}" for stage in ("dns", "tcp", "tls", "http")]
    assert result.lines == [*stages, "timeout", "hello"] * 3 + ["True"], result
    assert result.errors == ""


@pytest.mark.parametrize("stage", ["tls", "http"])
def test_ctrl_c_in_a_blocking_connect_leaves_nothing(serve, target, certificates, stage):
    asked = threading.Event()

    async def silent(wire):
        await wire.reader.read(1)
        asked.set()
        await wire.ended()

    good = serve(echo, "websockets", tls=certificates.server())
    server = serve(silent, tls=certificates.server() if stage == "http" else None)
    process = target.start("""
        import os, sys
        import modwebsocket
        from modwebsocket import pump
        with modwebsocket.connect(sys.argv[2], verify=False) as ws:
            pass
        files = len(os.listdir("/proc/self/fd"))
        print("connecting")
        try:
            modwebsocket.connect(sys.argv[1], verify=False)
        except KeyboardInterrupt:
            print("interrupted")
        modwebsocket.run()
        print(len(pump._links), len(os.listdir("/proc/self/fd")) - files)
        with modwebsocket.connect(sys.argv[2], verify=False) as ws:
            ws.send("hello")
            print(ws.recv())
    """, server.url.replace("ws:", "wss:"), good.url)
    process.until("connecting")
    assert asked.wait(10)
    process.interrupt()
    result = process.result()
    assert result.lines == ["interrupted", "0 0", "hello"], result
    assert result.errors == ""


@pytest.mark.parametrize("stage", ["tls", "http"])
def test_deadline_in_each_stage(serve, visit, certificates, stage):
    async def silent(wire):
        await wire.ended()

    server = serve(silent, tls=certificates.server() if stage == "http" else None)
    lines = visit("""
        import time
        began_at = time.ticks_ms()
        visit(url, verify=False, connect_timeout_ms=300)
        print(290 <= time.ticks_diff(time.ticks_ms(), began_at) < 3000)
    """, server.url.replace("ws:", "wss:"))
    assert lines == ["failed deadline", "True"]


# ---- Bytes


def test_segments_of_one_byte_do(serve, through, visit, certificates):
    server = serve(echo, "websockets", tls=certificates.server())
    proxy = through(server, piece_len=1)
    assert visit("visit(url, say='bye', cadata=sys.argv[2])",
                 proxy.url.replace("ws:", "wss:"), certificates.pem) == [
        "open", "bye", "ended 1000 peer"]


@pytest.fixture
def session(wait, certificates):
    """session(server, body, inbox, wait_ms): the lines of a body with an open `ws`.

    The body is written for asyncio, see in_style(). inbox: messages that may wait. wait_ms: what
    comes in meanwhile waits for it.
    """
    def session(server, body, inbox=16, wait_ms=0):
        lines = wait(f"""
async def main():
    async with connect(url, {inbox}, cadata=sys.argv[2]) as ws:
        await rest({wait_ms})
        {body.strip().replace(chr(10), chr(10) + 8 * " ")}
go(main)
""", server.url, certificates.pem, heap="16M", timeout_s=30)
        for i in range(server.count):
            server.result(i)
        return lines

    return session


@pytest.mark.parametrize(("count", "length"), [(1300, 10), (15, 1000), (12, 1300), (3, 5400)])
def test_full_inbox_leaves_nothing_in_tls(serve, session, certificates, count, length):
    messages = [bytes((i & 255,)) * length for i in range(count)]

    async def server(wire):
        await wire.open()
        # One record: of what is left of it no socket has news.
        await wire.send(b"".join(frame(FIN | BINARY, message) for message in messages))
        assert await wire.frame() == (TEXT, b"all")
        await wire.send(frame(FIN | TEXT, "more") + frame(FIN | TEXT, "and more"))
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.send(BYE)
        await wire.rest()

    server = serve(server, tls=certificates.server())
    lines = session(server, f"""
for i in range({count}):
    assert (await ws.recv()) == bytes((i & 255,)) * {length}, i
await ws.send("all")
print(await ws.recv(), await ws.recv())
""", inbox=3, wait_ms=200)
    assert lines == ["more and more"]


def test_close_behind_a_full_inbox_is_read(serve, session, certificates):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "0123456789") * 900 + BYE)
        await wire.rest()

    server = serve(server, tls=certificates.server())
    lines = session(server, """
count = 0
async for message in ws:
    count += 1
print(count)
""", inbox=3, wait_ms=200)
    assert lines == ["900"]


def test_paused_link_reads_on_what_tls_holds(serve, target, certificates):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "0123456789") * 900)
        assert await wire.frame() == (TEXT, b"900")
        await wire.send(BYE)
        await wire.rest()

    server = serve(server, tls=certificates.server())
    result = target.run("""
import sys, modwebsocket
from modwebsocket import flow
count = 0
def handler(event, data):
    global count
    if event == 1:
        count += 1
        if count == 900:
            link.send(str(count))
        elif count % 100 == 0:
            flow.pause(link)
    elif event == 5:
        print(count, link.cause)
link = modwebsocket.Link(sys.argv[1], handler, verify=False)
while modwebsocket.step(50):
    flow.resume(link)
""", server.url)
    assert (result.lines, result.errors) == (["900 peer"], ""), result


def test_large_messages(serve, session, kind, certificates):
    server = serve(echo, kind, tls=certificates.server())
    assert session(server, """
for size in (0, 1, 16384, 65536, 1 << 20):
    for data, opcode in (("é" * (size // 2), 1), (b"x" * size, 2)):
        await ws.send(data, opcode)
        assert (await ws.recv()) == data
print("good")
""") == ["good"]


def test_send_waits_for_a_server_that_reads_late(serve, session, certificates):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.3)
        for i in range(40):
            assert await wire.frame() == (BINARY, bytes((i,)) * 100_000)
        await wire.send(frame(FIN | TEXT, "good") + BYE)
        await wire.rest()

    server = serve(server, tls=certificates.server())
    assert session(server, """
for i in range(40):
    await ws.send(bytes((i,)) * 100000, 2)
print(await ws.recv())
""") == ["good"]


def test_cancelled_send_sends_all_or_nothing(serve, target, certificates):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.5)
        sizes = []
        while (received := await wire.frame())[0] == BINARY:
            sizes.append(len(received[1]))
        assert set(sizes) == {300_000}
        await wire.send(BYE)

    server = serve(server, tls=certificates.server())
    result = target.run("""
import asyncio, sys
from modwebsocket import aio
async def main():
    ws = await aio.connect(sys.argv[1], verify=False, close_timeout_ms=3000)
    async def feed():
        while True:
            await ws.send(bytes(300000), 2)
    for _ in range(3):
        try:
            await asyncio.wait_for_ms(feed(), 50)
        except asyncio.TimeoutError:
            print("waits")
    await ws.close()
    print(ws.unsent_len)
asyncio.run(main())
""", server.url, heap="8M")
    server.result()
    assert (result.lines, result.errors) == (["waits"] * 3 + ["0"], ""), result
