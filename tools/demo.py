"""The main job, shown: a NodeMCU script on MicroPython talks to a real server.

Starts a server of PyPI's `websockets` on a free port of this machine and runs
examples/nodemcu_echo.py in build/unix/micropython against it. Exits 0 if every message came
back as it was sent and both ends closed as they should.
"""

import asyncio
import os
import pathlib
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("MODWEBSOCKET_BUILD", ROOT / "build"))
TIMEOUT_S = 20
MESSAGES = ("hello, chip", "grüße, 世界", b"\x00\x01\x02\xff", "x" * 70_000, b"y" * 1_000_000)


def brief(message):
    """A message as a person wants to read it."""
    kind = "text" if isinstance(message, str) else "binary"
    text = repr(message)
    return f"{kind:6} {text if len(text) < 40 else f'{text[:16]}… ({len(message)} long)'}"


async def talk(server, passed):
    """Send each message, expect it back, close."""
    print(f"server: a client came, it is {server.request.headers['User-Agent']}")
    try:
        for message in MESSAGES:
            await server.send(message)
            echo = await server.recv()
            print(f"server: {'echoed' if echo == message else 'WRONG '} {brief(echo)}")
            passed.append(echo == message)
        rtt = await (await server.ping())
        print(f"server: pong after {rtt * 1000:.1f} ms")
        await server.close(1000, "that was the demo")
        passed.append(server.close_code == 1000)
    except ConnectionClosed as e:
        print(f"server: the connection ended early: {e}")


async def main():
    """Run the conversation; returns the exit status."""
    passed = []
    async with serve(lambda s: talk(s, passed), "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        script = ROOT / "examples" / "nodemcu_echo.py"
        print(f"micropython {script.relative_to(ROOT)} ws://127.0.0.1:{port}/")
        device = await asyncio.create_subprocess_exec(
            BUILD / "unix" / "micropython",
            script,
            f"ws://127.0.0.1:{port}/",
            cwd=BUILD,  # the current directory comes before frozen modules
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            out, _ = await asyncio.wait_for(device.communicate(), TIMEOUT_S)
        except asyncio.TimeoutError:
            device.kill()
            print(f"no end after {TIMEOUT_S} s")
            return 1
    lines = out.decode().split("\n")
    for line in lines[:-1]:
        print(f"device: {line}")
    good = len(passed) == len(MESSAGES) + 1 and all(passed)
    good = good and lines == ["open", "closed -6", ""] and device.returncode == 0
    print("the demo worked" if good else "the demo FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
