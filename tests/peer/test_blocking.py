"""The blocking style against real servers: modwebsocket.connect()."""

import asyncio
import textwrap

import pytest
from peer.conftest import SET_CLOCK
from peer.servers import BINARY, CLOSE, FIN, PING, TEXT, close_payload, frame

PRELUDE = """
import sys, time
import modwebsocket
from modwebsocket.blocking import ConnectionClosed
url = sys.argv[1]
"""


@pytest.fixture
def script(serve, target):
    """script(handler, text, *args) runs a script against a server; returns its lines."""

    def script(handler, text, *args, kind="websockets", errors="", **options):
        server = serve(handler, kind)
        result = target.run(PRELUDE + textwrap.dedent(text), server.url, *args, **options)
        server.served(result)
        assert (result.status, errors in result.errors, bool(result.errors)) == (
            0, True, bool(errors)), result
        return result.lines

    return script


async def echo(peer):
    """Sends back what comes, until the client closes."""
    while (message := await peer.recv()) is not None:
        await peer.send(message)
    return peer.close_code


def test_blocking_echo(script, kind):
    lines = script(echo, """
        with modwebsocket.connect(url) as ws:
            ws.send("hello")
            print(ws.recv(), ws.opcode)
            ws.send(b"12", 2)
            print(ws.recv(), ws.opcode)
            ws.send("x" * 3000)
            print(len(ws.recv()))
            print(0 <= ws.ping() < 1000)
        print(ws.link.cause, ws.link.code)
        try:
            ws.recv()
        except ConnectionClosed as e:
            print((e.code, e.reason))
        try:
            ws.send("late")
        except ConnectionClosed as e:
            print((e.code, e.reason))
        ws.close()
    """, kind=kind)
    assert lines == ["hello 1", "b'12' 2", "3000", "True", "closed 1000",
                     "(1000, '')", "(1000, '')"]


def test_blocking_recv_timeout_leaves_the_connection_usable(script):
    lines = script(echo, """
        ws = modwebsocket.connect(url)
        for timeout_ms in (0, 100):
            began_at = time.ticks_ms()
            try:
                ws.recv(timeout_ms)
            except OSError as e:
                print(e.errno, time.ticks_diff(time.ticks_ms(), began_at) // 100)
        ws.send("still here")
        print(ws.recv(5000))
        ws.close(1001, "done")
    """)
    assert lines[0].endswith(" 0") and lines[1].endswith(" 1")
    assert lines[2:] == ["still here"]


@pytest.mark.parametrize(("code", "end"), [(1000, []), (1001, []), (4002, ["(4002, 'enough')"])])
def test_blocking_iteration_ends_on_1000_and_1001_and_raises_otherwise(script, code, end):
    async def server(peer):
        for i in range(3):
            await peer.send(f"message {i}")
        await peer.close(code, "enough")

    lines = script(server, """
        ws = modwebsocket.connect(url)
        try:
            for message in ws:
                print(message)
        except ConnectionClosed as e:
            print((e.code, e.reason))
    """)
    assert lines == ["message 0", "message 1", "message 2", *end]


def test_blocking_reads_no_more_than_its_queue_holds(script):
    async def server(wire):
        await wire.open()
        for i in range(300):
            await wire.send(frame(FIN | BINARY, bytes((i & 255,)) + bytes(i * 3)))
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    lines = script(server, """
        ws = modwebsocket.connect(url, max_unread_len=3000)
        most = count = 0
        for _ in range(100):
            modwebsocket.step(10)
            most = max(most, ws._unread_len)
        for message in ws:
            assert message[0] == count & 255 and len(message) == 1 + count * 3
            count += 1
            most = max(most, ws._unread_len)
            if count % 100 == 0:
                for _ in range(10):
                    modwebsocket.step(10)
        print(count, 3000 <= most <= 3900 or most)
    """, kind="wire", timeout_s=20)
    assert lines == ["300 True"]


def test_blocking_send_waits_until_the_network_has_taken_it(script, target):
    async def server(wire):
        await wire.open()
        await asyncio.sleep(1)
        assert (await wire.frame())[1] == b"m" * size
        await wire.rest()

    size = target.fits(9_000_000, 15_000)
    lines = script(server, """
        ws = modwebsocket.connect(url)
        ws._timeout_ms = 200
        data = b"m" * int(sys.argv[2])
        try:
            ws.send(data, 2)
        except OSError as e:
            print("late")
        print(ws.link._conn.unsent_len() > 0)
        ws._timeout_ms = 5000
        ws.send("behind it")
        print(ws.link._conn.unsent_len())
        ws.close()
    """, size, kind="wire", heap="32M")
    if target.name == "lx106":
        lines = [line for line in lines if line != "late"]  # its window may hold it
        assert lines[-1] == "0"
    else:
        assert lines == ["late", "True", "0"]


def test_blocking_answers_pings_while_it_waits(script):
    async def server(wire):
        await wire.open()
        await wire.send(frame(FIN | PING, b"there?"))
        assert await wire.frame() == (10, b"there?")
        await wire.send(frame(FIN | TEXT, b"good") + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    assert script(server, "print(list(modwebsocket.connect(url)))", kind="wire") == ["['good']"]


def test_blocking_call_in_a_handler_raises(script):
    lines = script(echo, """
        def call(function, *args):
            try:
                function(*args)
            except RuntimeError as e:
                print(e)

        def handler(event, data):
            if event == 3:
                call(ws.recv)
                call(ws.send, "x")
                call(ws.close)
                call(modwebsocket.connect, url)
                link.close()

        ws = modwebsocket.connect(url)
        link = modwebsocket.Link(url, handler)
        while not link.cause:
            modwebsocket.step(100)
        ws.send("fine")
        print(ws.recv())
        ws.close()
    """)
    assert lines == ["a blocking call in a handler or asyncio task"] * 4 + ["fine"]


def test_blocking_call_in_an_asyncio_task_raises(script):
    async def server(peer):
        pass

    assert script(server, """
        import asyncio
        async def main():
            try:
                modwebsocket.connect(url)
            except RuntimeError as e:
                print(e)
        asyncio.run(main())
    """) == ["a blocking call in a handler or asyncio task"]


def test_blocking_connect_raises_what_went_wrong(script, serve, target):
    async def server(wire):
        await wire.request()
        await wire.send(b"HTTP/1.1 503 Busy\r\n\r\n")

    async def silent(wire):
        await wire.ended()

    dead = serve(silent, "wire")
    lines = script(server, """
        for at in (url, sys.argv[2], "ws://127.0.0.1:1/", "ws:/x"):
            try:
                modwebsocket.connect(at, timeout_ms=1000)
            except Exception as e:
                print(type(e).__name__, e.args)
    """, dead.url, kind="wire")
    assert lines[0] == "HandshakeError ('HTTP 503',)"
    assert [line.split()[0] for line in lines] == [
        "HandshakeError", "OSError", "OSError", "URLError"]


def test_script_that_leaves_its_connection_open_ends(script, target):
    if target.name == "lx106":
        pytest.skip("the board goes on at its prompt")
    assert script(echo, """
        ws = modwebsocket.connect(url)
        ws.send("x")
        print(ws.recv())
    """) == ["x"]


def test_blocking_recv_into(script):
    lines = script(echo, """
        with modwebsocket.connect(url) as ws:
            ws.send("hello world")
            buf = bytearray(4)
            while True:
                n = ws.recv_into(buf)
                print(bytes(buf[:n]), ws.offset, ws.final)
                if ws.final:
                    break
    """)
    assert lines == ["b'hell' 0 False", "b'o wo' 4 False", "b'rld' 8 True"]


def test_blocking_over_tls_reads_what_a_pause_left_in_tls(serve, target, certificates):
    async def server(wire):
        await wire.open()
        # In one record: when the queue is full, no socket has news of the rest.
        await wire.send(b"".join(frame(FIN | BINARY, bytes(1000)) for _ in range(15)))
        assert await wire.frame() == (TEXT, b"all")
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    server = serve(server, "wire", tls=certificates.server())
    result = target.run(SET_CLOCK + PRELUDE + textwrap.dedent("""
        with modwebsocket.connect(url, cadata=sys.argv[2], max_unread_len=2000) as ws:
            print(sum(len(ws.recv(5000)) for _ in range(15)))
            ws.send("all")
            print(list(ws))
        try:
            modwebsocket.connect(url, pin=bytes(32))
        except OSError as e:
            print("refused")
    """), server.url, certificates.pem)
    server.result()
    assert (result.lines, result.errors) == (["15000", "[]", "refused"], ""), result
