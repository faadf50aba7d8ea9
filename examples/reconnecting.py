"""Stay connected: a server that goes away is tried again, later and later."""

import sys

from modwebsocket.reconnect import Policy
from modwebsocket.reconnecting import Reconnecting

url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9001/"


def handler(event, data):
    if event == 3:  # OPENED
        ws.send("hello")
    elif event == 1:  # TEXT
        print(data)
    elif event == 6:  # WAITING
        print("lost:", ws.link.cause, ws.link.code)
    elif event == 5:  # ENDED
        print("over:", ws.link.cause, ws.link.code)


ws = Reconnecting(url, handler, Policy(first_ms=1000, max_ms=60000))
