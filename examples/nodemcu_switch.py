"""Ported from NodeMCU Lua, see docs/porting.md: a relay that a server switches; it comes back."""

import asyncio
import sys

import websocket

try:
    from machine import Pin

    relay = Pin(5, Pin.OUT, value=0)
except ImportError:
    relay = print  # on a PC

url = sys.argv[1] if len(sys.argv) > 1 else "ws://192.168.1.2:9001/"
on = False
delay_ms = 500
ws = websocket.createClient()


def tell():
    ws.send("on" if on else "off")


def switch(to):
    global on
    on = to
    relay(1 if on else 0)
    tell()


async def later(ms, function):
    await asyncio.sleep_ms(ms)
    function()


def connect():
    ws.connect(url)


def on_connection():
    global delay_ms
    print("connected")
    delay_ms = 500
    tell()


def on_receive(ws, message):
    if message == "toggle":
        switch(not on)
    elif message in ("on", "off"):
        switch(message == "on")
    else:
        ws.send("what?")


def on_close(ws, status):
    global delay_ms
    print("lost: %d, next try in %d ms" % (status, delay_ms))
    asyncio.create_task(later(delay_ms, connect))
    delay_ms = min(2 * delay_ms, 60000)


ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", on_close)
connect()
asyncio.get_event_loop().run_forever()
