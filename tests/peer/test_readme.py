"""The programs in README.md and examples/, run as a reader would run them."""

import asyncio
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import websockets.asyncio.client
from peer.test_serve import free_port

ROOT = Path(__file__).resolve().parent.parent.parent


def program(number, host="127.0.0.1", port=9001, file="README.md"):
    """A file's program by its number, with its server's address."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text(), re.S)
    text = blocks[number].replace("192.168.1.2:8080", "127.0.0.1:9001")
    return text.replace("127.0.0.1", host).replace("9001", str(port))


async def echo(peer):
    """Sends back one message, then closes."""
    await peer.send(await peer.recv())
    await peer.close()


async def greet(peer):
    """Says one thing, and waits for the other to close."""
    await peer.send("hello, engine")
    assert await peer.recv() is None
    assert peer.close_code == 1000


async def greet_back(peer):
    """Sends back one message, and waits for the other to close."""
    await peer.send(await peer.recv())
    assert await peer.recv() is None


async def say_more(peer):
    """Sends back one message and another, then closes."""
    await peer.send(await peer.recv())
    await peer.send("more")
    await peer.close()


@pytest.mark.parametrize("number, server, lines", [
    (0, echo, ["got hello", "closed -6"]),
    (1, echo, ["got hello", "closed 1000"]),
    (3, say_more, ["hello", "more", "closed 1000"]),
    (4, greet_back, ["(True, None, None)", "('hello', 'text', None)"]),
    (5, echo, ["got hello", "disconnected 1000"]),
    (6, echo, ["got hello", "closed"]),
    (7, greet, ["hello, engine", "closed 1000"]),
], ids=["nodemcu", "asyncio", "blocking", "lua-http", "defold", "qsys", "engine"])
def test_readme_program(serve, target, kind, number, server, lines):
    server = serve(server, kind)
    result = target.run(program(number, target.host, server.port))
    server.result()
    assert (result.status, result.lines, result.errors) == (0, lines, "")


async def hail(peer):
    """Q-SYS's other side: answers one message, then closes; knows whom the headers name."""
    token = peer.headers.get("Authorization")
    if token:
        assert (peer.path, token) == ("/my-websocket-endpoint", "Bearer my-auth-token")
        assert peer.headers["Custom-Header"] == "SomeValue"
    else:
        assert (peer.path, await peer.recv()) == ("/qrc", "Hey!")
        await peer.send("Hi!")
    await peer.close()


async def prices(peer):
    """Sends more than five messages once it is asked to."""
    assert await peer.recv() == '{"type": "subscribe"}'
    for i in range(6):
        await peer.send(f"price {i}")
    assert await peer.recv() is None
    assert peer.close_code == 1000


@pytest.mark.parametrize("name, number, server, lines", [
    ("defold", 0, echo, ["Receiving: b'Hello from the other side'"]),
    ("qsys", 0, hail, ["Connected", "Data Hi!", "closed"]),
    ("qsys", 1, hail, ["closed"]),
    ("lua_http", 0, prices, [f"price {i}" for i in range(5)]),
])
def test_program_beside_the_originals(serve, target, name, number, server, lines):
    server = serve(server, "websockets")
    text = program(number, target.host, server.port, f"docs/{name}.md")
    # Q-SYS has host and port apart.
    text = re.sub(r'"wss?", "[\w.]+", (".*?"), \d+', rf'"ws", "{target.host}", \1, {server.port}',
                  text)
    result = target.run(text)
    server.served(result)
    assert server.count == 1, result
    assert (result.status, result.lines, result.errors) == (0, lines, "")


@pytest.mark.parametrize("name, lines", [
    ("nodemcu_echo", ["open", "closed -6"]),
    ("aio_echo", ["open", "closed 1000"]),
])
def test_example_echoes(serve, target, kind, name, lines):
    async def server(peer):
        await peer.send("hello")
        assert await peer.recv() == "hello"
        await peer.close()

    server = serve(server, kind)
    result = target.run(ROOT / "examples" / f"{name}.py", server.url)
    server.result()
    assert (result.status, result.lines, result.errors) == (0, lines, "")


def test_lua_http_example_prints_five_messages(serve, target, kind):
    async def server(peer):
        assert await peer.recv() == '{"type": "subscribe", "product_id": "BTC-USD"}'
        for i in range(6):
            await peer.send(f"price {i}")
        assert await peer.recv() is None

    server = serve(server, kind)
    result = target.run(ROOT / "examples" / "lua_http_client.py", server.url)
    server.result()
    lines = [f"price {i}" for i in range(5)]
    assert (result.status, result.lines, result.errors) == (0, lines, "")


def get(port):
    """The page that a script serves, as soon as it does."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
                return response.read().decode()
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nobody serves")


def test_lua_http_server_of_its_page(target, loop):
    port = free_port()
    target.forward(port)
    text = program(1, file="docs/lua_http.md").replace("8080", str(port))
    process = target.start(text.replace("while True:", 'print("serving")\nwhile True:'))
    process.until("serving")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20)
    assert refused.value.code == 426

    async def client():
        url = f"ws://127.0.0.1:{port}/"
        async with websockets.asyncio.client.connect(url, subprotocols=["chat"]) as ws:
            assert ws.subprotocol == "chat"
            await ws.send("hello")
            assert await ws.recv() == "hello"

    loop.run(client())
    process.until("(None, None, 1000)")
    process.interrupt()
    assert "KeyboardInterrupt" in process.result().errors


def test_readme_server(target, loop):
    port = free_port()
    target.forward(port)
    process = target.start(program(2).replace("port=8080", f"port={port}"))
    assert get(port) == "<h1>a page</h1>"

    async def client():
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("to all")
            assert await ws.recv() == "to all"

    loop.run(client())
    process.interrupt()
    assert process.result().lines[0] == "1 of 1 got it"


def test_example_serves(target, loop):
    port = free_port()
    target.forward(port)
    process = target.start(ROOT / "examples" / "serve.py", port)
    process.until(f"serving on port {port}")
    assert "new WebSocket(" in get(port)

    async def client(name):
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}/") as ws:
            while not (await ws.recv()).startswith("#"):
                pass
            await ws.send(name)
            while await ws.recv() != f">{name}":
                pass

    async def clients():
        await asyncio.gather(client("a"), client("b"))
        async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("stop")
            async for _ in ws:
                pass
            assert ws.close_code == 1001

    loop.run(clients())
    result = process.result()
    assert (result.status, result.lines, result.errors) == (0, [], "")


def test_blocking_example_echoes(serve, target, kind):
    async def server(peer):
        await peer.send("hello")
        assert await peer.recv() == "hello"
        await peer.send(b"1")
        assert await peer.recv() == b"1"
        await peer.close()

    server = serve(server, kind)
    result = target.run(ROOT / "examples" / "blocking_echo.py", server.url)
    server.result()
    assert (result.status, result.lines, result.errors) == (0, ["closed 1000"], "")


def test_stream_example_sends_a_file(serve, target, kind, tmp_path):
    file = tmp_path / "long.bin"
    file.write_bytes(bytes(range(256)) * 20)

    async def server(peer):
        message = await peer.recv()
        assert message == file.read_bytes()
        await peer.send(message[:3000])
        assert await peer.recv() is None

    server = serve(server, kind)
    result = target.run(ROOT / "examples" / "stream_file.py", server.url, file)
    server.result()
    assert (result.status, result.errors) == (0, ""), result
    ends = [[int(word) for word in line.split()[:2]] for line in result.lines]
    assert sum(length for _, length in ends) == 3000
    assert result.lines[-1].endswith(" end")


def test_reconnecting_example_says_how_it_ends(serve, target, kind):
    async def server(peer):
        assert await peer.recv() == "hello"
        await peer.send("welcome")
        # First a restart, which is worth another try, then the end.
        await peer.close(1012 if server.count == 1 else 1000)

    server = serve(server, kind)
    result = target.run(ROOT / "examples" / "reconnecting.py", server.url)
    server.result()
    assert (result.status, result.errors) == (0, ""), result
    assert result.lines == ["welcome", "lost: peer 1012", "welcome", "over: peer 1000"]
