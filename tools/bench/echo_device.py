"""The device's side of the echo benchmark: runs in MicroPython, prints seconds and messages.

    micropython echo_device.py URL LEN COUNT WINDOW BUFFER_LEN

Sends COUNT binary messages (text if LEN is negative) of LEN bytes, WINDOW of them in flight.
"""

import sys
import time

import websocket

url = sys.argv[1]
message_len, count, window, buffer_len = [int(a) for a in sys.argv[2:6]]
if message_len < 0:
    message, opcode = "x" * -message_len, 1
else:
    message, opcode = b"x" * message_len, 2
left = [count, window]
began = [0]


def on_connection(ws):
    began[0] = time.ticks_us()
    for _ in range(window):
        ws.send(message, opcode)


def on_receive(ws, data, opcode):
    left[0] -= 1
    if left[0] >= window:
        ws.send(message, opcode)
    elif not left[0]:
        seconds = time.ticks_diff(time.ticks_us(), began[0]) / 1e6
        assert data == message
        print(seconds, count)
        ws.close()


ws = websocket.createClient()
if buffer_len:
    ws.config({"rx_buffer_len": buffer_len, "tx_buffer_len": buffer_len})
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.connect(url)
