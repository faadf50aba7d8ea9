"""docs/porting.md: what is there in Lua and what is there in Python do the same."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = (ROOT / "docs" / "porting.md").read_text()
NAMES = "sensor", "switch", "log"


def blocks(language):
    """The guide's code of a language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)


LUA_LANGUAGE, LUA_INIT, LUA_TIMERS, *ORIGINALS = blocks("lua")
LANGUAGE, BOOT, TIMERS, AGAIN, ASYNCIO, SEND, *PORTED = blocks("python")

with_lua = pytest.mark.parametrize("target", ["unix", "stock", "lx106", "lua"], indirect=True)


def not_on_pc(test):
    """Skips a test where MicroPython has no devices."""
    for target in "unix", "stock":
        test = pytest.mark.not_on(target, "no device")(test)
    return test


def words(result):
    """What a script printed, whatever its language puts between two words."""
    assert (result.status, result.errors) == (0, ""), result
    return [line.split() for line in result.lines]


# ---- Pieces


@pytest.mark.parametrize("text", blocks("lua"), ids=["language", "init", "timers", *NAMES])
def test_lua_is_lua(text):
    subprocess.run(["luac5.2", "-p", "-"], input=text, text=True, check=True)


@with_lua
def test_language(target):
    said = words(target.run(LUA_LANGUAGE if target.name == "lua" else LANGUAGE))
    assert said == [
        ["example.com", "80", "/"], ["3", "a", "a,b,c"],
        ["1", "a"], ["2", "b"], ["3", "c"], ["10"], ["7"], ["4"], ["1"],
        ["temp", "22", "7"], ["half", "of", "7", "is", "3.5", "3"], ["0a", "2.5", "differs"],
        ["1", "3"], ["failed", "1"],
    ]


TICKS = [["tick", "1"], ["tick", "2"], ["tick", "3"], ["done"]]


@not_on_pc
@with_lua
def test_timers(target):
    wait = "\nfrom time import sleep_ms\nsleep_ms(2000)\n"
    said = target.run(LUA_TIMERS if target.name == "lua" else TIMERS + wait)
    assert words(said) == TICKS


@not_on_pc
def test_timer_connects(target, serve):
    async def server(peer):
        assert await peer.recv() == "here again"
        await peer.close()

    server = serve(server, "websockets")
    url = re.search("ws://[^\"]*", AGAIN)[0]
    wait = "\nfrom time import sleep_ms\nwhile True: sleep_ms(1)\n"
    process = target.start(AGAIN.replace(url, server.url.replace("127.0.0.1", target.host)) + wait)
    server.came(3)
    for i in range(3):
        server.result(i)
    process.interrupt()
    assert process.result(20).lines[:2] == ["lost -6", "lost -6"]


def test_timers_of_asyncio(target):
    assert words(target.run(ASYNCIO)) == TICKS


@not_on_pc
def test_boot(target):
    assert words(target.run(BOOT)) == [["address", "10.0.2.15"]]


def test_send_without_a_connection(target):
    script = "import websocket\nws = websocket.createClient()\ntext = 'x'\n" + SEND
    assert target.run(script).lines == [
        "not sent: [Errno 107] ENOTCONN: Websocket isn't connected."]


# ---- Programs: each and its original pass the same test


def program(name, target):
    """A program for this target: its original's text, or the file of the one in Python."""
    if target.name == "lua":
        return ORIGINALS[NAMES.index(name)]
    return ROOT / "examples" / f"nodemcu_{name}.py"


@pytest.mark.parametrize("name, text", list(zip(NAMES, PORTED, strict=True)), ids=NAMES)
def test_guide_shows_the_example(name, text):
    assert text == (ROOT / "examples" / f"nodemcu_{name}.py").read_text()


@with_lua
def test_sensor(target, serve):
    came = []

    async def server(peer):
        async def hear():
            return json.loads(await peer.recv())

        first = await hear()
        assert time.monotonic() - came[0] > 0.9
        assert first.keys() == {"n", "uptime", "heap"} and first["n"] == 1
        begin = time.monotonic()
        await peer.send('{"command": "interval", "ms": 200}')
        n = 1
        while n < 4:
            n += 1
            assert (await hear())["n"] == n
        assert time.monotonic() - begin > 0.35
        # A post may be on its way.
        await peer.send('{"command": "interval", "ms": 60000}')
        await peer.send("{")
        while "error" not in await hear():
            n += 1
        for wrong in "[]", "5", "{}", '{"command": "x"}', '{"command": "interval", "ms": "soon"}':
            await peer.send(wrong)
            assert (await hear()).keys() == {"error"}
        await peer.send('{"command": "post"}')
        assert (await hear())["n"] == n + 1
        await peer.send('{"command": "stop"}')
        assert await peer.recv() is None
        return peer.close_code

    server = serve(server, "aiohttp", refuse=lambda path: came.append(time.monotonic()))
    result = target.run(program("sensor", target), server.url, timeout_s=30)
    server.served(result)
    assert server.result() == 1000
    assert words(result) == [["closed", "0"]]


@with_lua
def test_switch(target, serve):
    came = []

    def refuse(path):
        came.append(time.monotonic())
        return (503, {}, "") if len(came) == 2 else None

    async def first(peer):
        assert await peer.recv() == "off"
        for say, answer in (("on", "on"), ("on", "on"), ("?", "what?"), ("toggle", "off"),
                            ("toggle", "on")):
            await peer.send(say)
            assert await peer.recv() == answer
        await peer.close(1001)

    async def second(peer):
        # It has kept its state.
        assert await peer.recv() == "on"
        await peer.close(1001)

    async def third(peer):
        assert await peer.recv() == "on"
        await peer.send("off")
        assert await peer.recv() == "off"

    async def server(peer):
        await (first, second, third)[min(server.count, 3) - 1](peer)

    server = serve(server, "websockets", refuse=refuse)
    process = target.start(program("switch", target), server.url)
    process.until("lost: -6, next try in 500 ms", timeout_s=30)
    process.until("lost: -17, next try in 1000 ms", timeout_s=30)
    process.until("lost: -6, next try in 500 ms", timeout_s=30)  # it was connected meanwhile
    server.came(3)
    for i in range(3):
        server.result(i)
    process.interrupt()
    assert process.result(20).lines[:2] == ["connected", "0"]
    waits = [later - sooner for sooner, later in zip(came, came[1:], strict=False)]
    assert waits[0] > 0.4 and waits[1] > 0.8 and waits[2] > 0.4


# Runs the log's program twice, as a chip that starts twice does.
TWICE = """
import os, sys
import nodemcu_log
del sys.modules["nodemcu_log"]
import nodemcu_log
print(sorted(name for name in os.listdir() if name.endswith(".txt")))
"""


@with_lua
def test_log(target, serve, tmp_path):
    lines = ["first\n", "grüße\n", "\n", "x" * 300 + "\n", "last"]
    log = tmp_path / "log.txt"
    log.write_text("".join(lines))
    got = []

    async def server(peer):
        got.append([])
        while (line := await peer.recv()) is not None:
            got[-1].append(line)
            if server.count == 1 and len(got[0]) == 2:
                return await peer.close(1013)
            await peer.send("ok")
        assert peer.close_code == 1000

    server = serve(server, "aiohttp")
    if target.name == "lua":
        results = [target.run(program("log", target), server.url) for _ in range(2)]
        said = [line for result in results for line in words(result)]
    else:
        (tmp_path / "nodemcu_log.py").write_text(program("log", target).read_text())
        result = target.run(TWICE, server.url, log)
        said = words(result)
        assert said.pop() == ["[]"]
    server.served(said)
    assert said == [["kept,", "for", "next", "time:", "-6"], ["sent"]]
    assert got == [lines[:2], lines]
    if target.name != "lx106":
        assert not list(tmp_path.glob("*.txt"))
