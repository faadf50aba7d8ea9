"""Connects again and again, then sends messages, against an echo server.

    micropython soak.py URL callback|asyncio|blocking CONNECTS MESSAGES WINDOW

Prints two lines, for the connects and for the messages: how many, seconds, by how many bytes the
heap and by how many descriptors the process has grown.
"""

import asyncio
import gc
import os
import sys
from time import ticks_diff, ticks_ms

import modwebsocket
import websocket
from modwebsocket import aio

MESSAGE = "sixteen bytes: x"
WARM = 200


def state():
    """Bytes in use, open descriptors."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc(), len(os.listdir("/proc/self/fd"))


def callback_connects(url, count):
    def closed(ws, status):
        nonlocal count
        assert status == 0
        count -= 1
        if count:
            ws.connect(url)

    ws = websocket.createClient()
    ws.on("connection", lambda ws: ws.send(MESSAGE))
    ws.on("receive", lambda ws, message: ws.close())
    ws.on("close", closed)
    ws.connect(url)
    modwebsocket.run()
    assert count == 0


def callback_messages(url, count, window):
    sent = got = 0

    def opened(ws):
        nonlocal sent
        for _ in range(window):
            ws.send(MESSAGE)
        sent = window

    def receive(ws, message):
        nonlocal sent, got
        got += 1
        if sent < count:
            sent += 1
            ws.send(message)
        elif got == count:
            ws.close()

    ws = websocket.createClient()
    ws.on("connection", opened)
    ws.on("receive", receive)
    ws.connect(url)
    modwebsocket.run()
    assert got == count


def blocking_connects(url, count):
    for _ in range(count):
        with modwebsocket.connect(url) as ws:
            ws.send(MESSAGE)
            assert ws.recv() == MESSAGE


def blocking_messages(url, count, window):
    with modwebsocket.connect(url) as ws:
        for i in range(count + window):
            if i < count:
                ws.send(MESSAGE)
            if i >= window:
                assert ws.recv() == MESSAGE


async def aio_connects(url, count):
    for _ in range(count):
        async with aio.connect(url) as ws:
            await ws.send(MESSAGE)
            assert await ws.recv() == MESSAGE


async def aio_messages(url, count, window):
    async with aio.connect(url) as ws:
        for i in range(count + window):
            if i < count:
                await ws.send(MESSAGE)
            if i >= window:
                assert await ws.recv() == MESSAGE


def asyncio_connects(url, count):
    asyncio.run(aio_connects(url, count))


def asyncio_messages(url, count, window):
    asyncio.run(aio_messages(url, count, window))


def measure(function, url, count, *args):
    function(url, min(WARM, count), *args)
    heap, descriptors = state()
    start = ticks_ms()
    function(url, count, *args)
    seconds = ticks_diff(ticks_ms(), start) / 1000
    now = state()
    print(count, seconds, now[0] - heap, now[1] - descriptors)


url, style = sys.argv[1:3]
connects, messages, window = [int(n) for n in sys.argv[3:]]
measure(globals()[style + "_connects"], url, connects)
measure(globals()[style + "_messages"], url, messages, window)
