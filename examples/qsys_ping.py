"""Q-SYS's way: the manual's example, with the timer that asyncio gives."""

import asyncio
import sys

from lua_compat.qsys import WebSocket

host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = sys.argv[2] if len(sys.argv) > 2 else 9001

ws = WebSocket.New()
timer = None


async def ping():
    while True:
        ws.Ping()
        await asyncio.sleep(10)


def connected(ws):
    global timer
    print("Connected")
    timer = asyncio.create_task(ping())  # every 10 seconds
    ws.Write("Hey!")


def error(ws, err):
    print("Error", err)
    done.set()


def closed():
    timer.cancel()
    print("closed")
    done.set()


ws.Connected = connected
ws.Error = error
ws.Closed = closed
ws.Pong = lambda: print("Pong")
ws.Data = lambda ws, data: print("Data", data)


async def main():
    global done
    done = asyncio.Event()
    ws.Connect("ws", host, "/qrc", port)
    await done.wait()


asyncio.run(main())
