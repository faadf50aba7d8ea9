"""Send a file as one message, however long, and print the answer as it comes."""

import sys

import modwebsocket

url, path = sys.argv[1:3]

with modwebsocket.connect(url, parts=True, max_message_len=1 << 30) as ws:
    with open(path, "rb") as file:
        ws.send_stream(file)
    while True:
        data = ws.recv()
        print(ws.offset, len(data), "end" if ws.final else "")
        if ws.final:
            break
