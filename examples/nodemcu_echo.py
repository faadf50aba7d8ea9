"""NodeMCU's way: echo whatever the server sends, until it closes."""

import sys

import websocket

url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9001/"

ws = websocket.createClient()
ws.on("connection", lambda: print("open"))
ws.on("receive", lambda ws, msg, opcode: ws.send(msg, opcode))
ws.on("close", lambda _, status: print("closed", status))
ws.connect(url)
