"""Waiting: echo whatever the server sends, until it closes."""

import sys

import modwebsocket

url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9001/"

with modwebsocket.connect(url, timeout_ms=5000) as ws:
    for message in ws:
        ws.send(message, ws.opcode)
print("closed", ws.link.code)
