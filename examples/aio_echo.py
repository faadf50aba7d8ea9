"""asyncio's way: echo whatever the server sends, until it closes."""

import asyncio
import sys

from modwebsocket import aio

url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9001/"


async def main():
    async with aio.connect(url) as ws:
        print("open")
        async for message in ws:
            await ws.send(message, 1 if isinstance(message, str) else 2)
    print("closed", ws.code)


asyncio.run(main())
