"""`Reconnecting` against servers that go and come back."""

import textwrap
import time

import pytest
from peer.servers import CLOSE, FIN, TEXT, close_payload, frame

PRELUDE = """
import sys
import modwebsocket
from modwebsocket.reconnect import Policy
from modwebsocket.reconnecting import Reconnecting

url = sys.argv[1]
NAMES = {1: "text", 3: "opened", 5: "ended", 6: "waiting"}

def handler(event, data):
    if event == 6:
        assert 0 <= data <= most_ms
        print("waiting", r.link.cause, r.link.code)
    elif event == 5:
        print("ended", r.link.cause, r.link.code)
    else:
        print(NAMES[event], data)

def until(done, ms=15000):
    while not done():
        modwebsocket.step(100)

most_ms = 400
policy = Policy(first_ms=100, max_ms=most_ms)
"""


def once(lines):
    """The lines without repetitions of the one before."""
    return [line for i, line in enumerate(lines) if i == 0 or line != lines[i - 1]]


@pytest.mark.parametrize(("kind", "end"), [
    ("wire", "eof 1006"), ("websockets", "peer 1001")])
def test_server_that_is_stopped_and_started_again(serve, loop, target, kind, end):
    async def greet(peer):
        if kind == "wire":
            await peer.open(frame(FIN | TEXT, b"hello"))
            await peer.rest()
        else:
            await peer.send("hello")
            await peer.recv()

    server = serve(greet, kind)
    process = target.start(PRELUDE + textwrap.dedent("""
        texts = 0
        def talk(event, data):
            global texts
            handler(event, data)
            if event == 1:
                texts += 1
                if texts == 2:
                    r.close()
        r = Reconnecting(url, talk, policy)
        until(lambda: texts == 2 and r.link._conn is None)
        modwebsocket.step(100)
    """), server.url)
    server.came(1, 20)
    time.sleep(2 if target.name == "lx106" else 0.5)
    port = server.port
    loop.run(server.stop())
    time.sleep(1)
    serve(greet, kind, port=port)
    result = process.result(20)
    assert result.status == 0 and not result.errors, result
    lines = once(result.lines)
    # Between the two: refused connections, as many as there was time for.
    refused = [line for line in lines if line == "waiting os 1006"]
    assert refused
    lines = [line for line in lines if line != "waiting os 1006"]
    assert lines == ["opened None", "text hello", f"waiting {end}", "opened None", "text hello",
                     "ended closed 1000" if kind != "wire" else "ended closed 1006"]


@pytest.fixture
def script(serve, target):
    """script(handler, text) runs a script against a "wire" server; returns its lines."""

    def script(handler, text):
        server = serve(handler)
        result = target.run(PRELUDE + textwrap.dedent(text), server.url)
        assert result.status == 0 and not result.errors, result
        script.count = server.count
        return result.lines

    return script


@pytest.mark.parametrize(("code", "count"), [(1008, 1), (1012, 3), (4321, 3)])
def test_close_code_decides(script, code, count):
    async def server(wire):
        await wire.open(frame(FIN | CLOSE, close_payload(code)))
        await wire.rest()

    lines = script(server, """
        r = Reconnecting(url, handler, Policy(first_ms=10, max_ms=50, max_attempts=2))
        modwebsocket.run()
    """)
    assert script.count == count
    one = ["opened None", f"waiting peer {code}"]
    assert lines == one * (count - 1) + ["opened None", f"ended peer {code}"]


@pytest.mark.parametrize("how", ["close()", "abort('enough')"])
def test_close_while_waiting_ends_it(script, how):
    async def server(wire):
        await wire.open(frame(FIN | CLOSE, close_payload(1001)))
        await wire.rest()

    lines = script(server, f"""
        def stop(event, data):
            handler(event, data)
            if event == 6:
                r.{how}
        most_ms = 60000
        r = Reconnecting(url, stop, Policy(first_ms=60000, random=lambda n: n - 1))
        modwebsocket.run()
        try:
            r.send("x")
        except OSError:
            print("not open")
    """)
    assert script.count == 1
    assert lines == ["opened None", "waiting peer 1001", "ended peer 1001", "not open"]


@pytest.mark.not_on("lx106", "its resolver asks for longer than the test waits")
def test_dns_failure_is_tried_again(script):
    async def server(wire):
        pass

    lines = script(server, """
        r = Reconnecting("ws://nosuch.invalid/", handler, Policy(10, 20, max_attempts=3))
        modwebsocket.run()
    """)
    assert lines == ["waiting dns 1006"] * 3 + ["ended dns 1006"]


def test_reconnecting_inside_asyncio(script):
    async def server(wire):
        await wire.open(frame(FIN | CLOSE, close_payload(1012)))
        await wire.rest()

    lines = script(server, """
        import asyncio
        over = asyncio.Event()
        def talk(event, data):
            handler(event, data)
            if event == 5:
                over.set()
        async def main():
            global r
            r = Reconnecting(url, talk, Policy(first_ms=50, max_attempts=2))
            await over.wait()
        asyncio.run(main())
    """)
    one = ["opened None", "waiting peer 1012"]
    assert lines == one * 2 + ["opened None", "ended peer 1012"]
