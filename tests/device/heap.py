"""Measures the heap for tests/test_heap.py, against an echo server.

    micropython heap.py URL idle|echo|reconnect link|client

Prints one number of bytes: what an open connection holds beside its buffers, or by how much the
heap has grown.
"""

import gc
import sys

import websocket
from modwebsocket import Link, step

RX_LEN = 1024
TX_LEN = 536
CONNECTIONS = 5
MESSAGES = 10000
RECONNECTS = 200

opened = ended = received = 0


def on_open():
    global opened
    opened += 1


def on_end():
    global ended
    ended += 1


def on_message():
    global received
    received += 1


def handler(event, data):
    if event == 1 or event == 2:
        on_message()
    elif event == 3:
        on_open()
    elif event == 5:
        on_end()


def link(url):
    return Link(url, handler)


def client(url):
    ws = websocket.createClient()
    ws.on("connection", on_open)
    ws.on("receive", on_message)
    ws.on("close", on_end)
    ws.connect(url)
    return ws


def use():
    """Bytes in use."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def connect(make, url):
    before = opened
    one = make(url)
    while opened == before:
        step()
    return one


def close(one):
    before = ended
    one.close()
    while ended == before:
        step()


def idle(make, url):
    connections = [None] * CONNECTIONS
    close(connect(make, url))
    before = use()
    for i in range(CONNECTIONS):
        connections[i] = connect(make, url)
    after = use()
    for one in connections:
        close(one)
    return (after - before) // CONNECTIONS - RX_LEN - TX_LEN


def echo(make, url):
    one = connect(make, url)
    message = b"m" * 1024

    def pass_messages(count):
        first = received
        for i in range(count):
            while received < first + i - 8:
                step()
            one.send(message, 2)
        while received < first + count:
            step()

    pass_messages(100)
    before = use()
    pass_messages(MESSAGES)
    after = use()
    close(one)
    return after - before


def reconnect(make, url):
    for _ in range(5):
        close(connect(make, url))
    before = use()
    for _ in range(RECONNECTS):
        close(connect(make, url))
    return use() - before


MEASURES = {"idle": idle, "echo": echo, "reconnect": reconnect}
MAKERS = {"link": link, "client": client}

print(MEASURES[sys.argv[2]](MAKERS[sys.argv[3]], sys.argv[1]))
