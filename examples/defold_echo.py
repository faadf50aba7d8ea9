"""Defold's way: the manual's example, as a class whose instance is its script's `self`."""

import sys

from lua_compat import defold as websocket


class Script:
    def __init__(self, url):
        params = {
            "timeout": 3000,
            "headers": "Sec-WebSocket-Protocol: chat\r\nOrigin: mydomain.com\r\n",
            "context": self,
        }
        self.connection = websocket.connect(url, params, websocket_callback)

    def finalize(self):
        if self.connection is not None:
            websocket.disconnect(self.connection)


def websocket_callback(self, conn, data):
    if data.event == websocket.EVENT_DISCONNECTED:
        print("Disconnected: " + str(conn))
        self.connection = None
    elif data.event == websocket.EVENT_CONNECTED:
        print("Connected: " + str(conn))
        websocket.send(conn, "Hello from the other side")
    elif data.event == websocket.EVENT_ERROR:
        print("Error: '" + data.message + "'")
    elif data.event == websocket.EVENT_MESSAGE:
        print("Receiving: %r" % data.message)
        self.finalize()


Script(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9001/")
