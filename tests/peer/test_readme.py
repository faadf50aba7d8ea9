"""The programs in README.md and examples/, run as a reader would run them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def program(number):
    """README's program by its number, its server's address in `{port}`."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return blocks[number].replace("9001", "{port}")


async def echo(peer):
    """Sends back one message, then closes."""
    await peer.send(await peer.recv())
    await peer.close()


async def greet(peer):
    """Says one thing, and waits for the other to close."""
    await peer.send("hello, engine")
    assert await peer.recv() is None
    assert peer.close_code == 1000


@pytest.mark.parametrize("number, server, lines", [
    (0, echo, ["got hello", "closed -6"]),
    (1, greet, ["hello, engine", "closed 1000"]),
], ids=["nodemcu", "engine"])
def test_readme_program(serve, target, kind, number, server, lines):
    server = serve(server, kind)
    result = target.run(program(number).replace("{port}", str(server.port)))
    server.result()
    assert (result.status, result.lines, result.errors) == (0, lines, "")


def test_example_echoes(serve, target, kind):
    async def server(peer):
        await peer.send("hello")
        assert await peer.recv() == "hello"
        await peer.close()

    server = serve(server, kind)
    result = target.run(ROOT / "examples" / "nodemcu_echo.py", server.url)
    server.result()
    assert (result.status, result.lines, result.errors) == (0, ["open", "closed -6"], "")
