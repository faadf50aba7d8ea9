"""Serve a page that shows a counter, and the WebSocket on the same port that moves it.

    micropython serve.py [PORT]

Whatever a browser sends goes to all of them; "stop" ends the server.
"""

import asyncio
import sys

from modwebsocket import aio

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>modwebsocket</title>
<h1 id="count">not connected</h1>
<input id="say" placeholder="say something"> <ol id="said"></ol>
<script>
const ws = new WebSocket("ws://" + location.host + "/");
ws.onmessage = (e) => {
  const [kind, text] = [e.data[0], e.data.slice(1)];
  if (kind == "#") { count.textContent = text; return; }
  const item = document.createElement("li");
  item.textContent = text;
  said.append(item);
};
ws.onclose = (e) => { count.textContent = "closed: " + e.code; };
say.onchange = () => { ws.send(say.value); say.value = ""; };
</script>
"""


async def handler(ws):
    async for message in ws:
        if message == "stop":
            server.close()
        else:
            # Whose network is slow does not hear it, and holds up nobody.
            server.broadcast(">" + message)


async def count():
    n = 0
    while True:
        server.broadcast("#%d" % n)
        n += 1
        await asyncio.sleep(1)


async def main():
    global server
    server = await aio.serve(handler, port=port, page=PAGE)
    task = asyncio.create_task(count())
    print("serving on port", port)
    await server.wait_closed()
    task.cancel()


asyncio.run(main())
