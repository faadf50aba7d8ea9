"""Ported from NodeMCU Lua, see docs/porting.md: a sensor that posts JSON each second and obeys."""

import asyncio
import gc
import json
import sys
from time import time

import websocket

url = sys.argv[1] if len(sys.argv) > 1 else "ws://192.168.1.2:9001/"
started = time()
count = 0
timer = None
ws = websocket.createClient()


def post():
    global count
    count += 1
    ws.send(json.dumps({
        "n": count, "uptime": time() - started, "heap": gc.mem_free(),
    }))


async def repeat(ms):
    while True:
        await asyncio.sleep_ms(ms)
        try:
            post()
        except OSError:
            pass  # it is closing: "close" follows


def stop():
    if timer:
        timer.cancel()


def alarm(ms):
    global timer
    stop()
    timer = asyncio.create_task(repeat(ms))


commands = {
    "interval": lambda c: alarm(max(100, int(c["ms"]))),
    "post": lambda c: post(),
    "stop": lambda c: ws.close(),
}


def on_receive(ws, message):
    try:
        c = json.loads(message)
        commands[c["command"]](c)
    except (KeyError, TypeError, ValueError) as e:
        ws.send(json.dumps({"error": repr(e)}))


def on_close(ws, status):
    stop()
    print("closed", status)
    closed.set()


ws.on("connection", lambda: alarm(1000))
ws.on("receive", on_receive)
ws.on("close", on_close)


async def main():
    global closed
    closed = asyncio.Event()
    ws.connect(url)
    await closed.wait()


asyncio.run(main())
