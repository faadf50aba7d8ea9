"""lua-http's example of a client, its API in Python: asks for a feed, prints five messages.

Its Lua is examples/websocket_client.lua there; assert(…) is check(…).
"""

import sys

from lua_compat import lua_http
from lua_compat.lua_http import check

url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9001/"

ws = lua_http.new_from_uri(url)
check(ws.connect())
check(ws.send('{"type": "subscribe", "product_id": "BTC-USD"}'))
for _ in range(5):
    data = check(ws.receive())
    print(data)
ws.close()
