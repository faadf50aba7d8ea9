"""A chip's own dashboard: a page with live values, and a box whose text comes back.

    micropython dashboard.py [PORT]

Open http://127.0.0.1:8080/ (or the chip's address) in a browser, or in several. On the emulated
board: make run-lx106 SCRIPT=examples/dashboard.py PORT=8080
"""

import asyncio
import gc
import sys
from time import time

from modwebsocket import aio

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
messages = 0
start = time()

# The icon is a data URL: a browser would ask for one by another connection.
PAGE = b"""<!DOCTYPE html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<link rel=icon href=data:,>
<title>modwebsocket</title>
<style>
body{margin:auto;max-width:44em;padding:1.5em;background:#0d1526;color:#e5ecf7;
 font:16px system-ui,sans-serif}
header,form{display:flex;gap:1em;align-items:baseline;justify-content:space-between}
h1{font-size:1.2em;margin:0}
small,p{color:#8ea0bd}
p{margin:1em 0 0}
main{display:grid;grid-template-columns:repeat(4,1fr);gap:1em;margin:1em 0}
div{background:#17223a;border-radius:.6em;padding:1em}
b{display:block;font-size:1.7em;font-weight:600}
.wide{grid-column:span 3}
svg{display:block;width:100%}
circle,path{fill:none;stroke:#263556;stroke-width:9}
#arc{stroke:#3ad6a0;stroke-linecap:round}
#line{stroke:#3ad6a0;stroke-width:2;fill:#3ad6a022;vector-effect:non-scaling-stroke}
text{fill:#e5ecf7;font-size:22px;text-anchor:middle}
input{flex:1;background:#0d1526;color:#fff;border:1px solid #38496e;border-radius:.4em;
 padding:.6em;font:inherit}
.off{color:#ff7a7a}
</style>
<header><h1>modwebsocket on <span id=on>a chip</span></h1><small id=state>connecting</small>
</header>
<main>
<div><svg viewBox="0 0 100 100"><circle cx=50 cy=50 r=44 /><circle id=arc cx=50 cy=50 r=44
 pathLength=100 stroke-dasharray="0 100" transform="rotate(-90 50 50)"
 /><text x=50 y=57 id=percent></text></svg></div>
<div class=wide><small>free heap, bytes</small><b id=free>-</b>
<svg viewBox="1 0 298 60" height=68 preserveAspectRatio=none><path id=line></svg></div>
<div><small>uptime</small><b id=up>-</b></div>
<div><small>clients</small><b id=clients>-</b></div>
<div><small>messages</small><b id=messages>-</b></div>
<div><small>echo</small><b id=rtt>-</b></div>
</main>
<div><form id=form><input id=say placeholder="say something, it comes back" autofocus></form>
<p>It said: <span id=log>nothing yet</span></div>
<script>
const past = [];
let ws, sent, last;
function connect() {
  ws = new WebSocket("ws://" + location.host + "/");
  ws.onopen = () => { state.textContent = "connected"; state.className = ""; };
  ws.onclose = (e) => {
    state.textContent = "closed: " + e.code;
    state.className = "off";
    setTimeout(connect, 2000);
  };
  ws.onmessage = (e) => {
    if (e.data[0] == ">") {
      rtt.textContent = Math.round(performance.now() - sent) + " ms";
      log.textContent = e.data.slice(1);
    } else show(JSON.parse(e.data));
  };
}
function show(v) {
  on.textContent = v.on;
  free.textContent = v.free.toLocaleString("en");
  clients.textContent = v.clients;
  messages.textContent = v.messages;
  up.textContent = new Date(v.up * 1000).toISOString().slice(11, 19);
  const part = Math.round(100 * v.free / v.heap);
  percent.textContent = part + " %";
  arc.setAttribute("stroke-dasharray", part + " 100");
  if (v.up == last) return;
  last = v.up;
  past.push(v.free);
  if (past.length > 60) past.shift();
  const low = Math.min(...past), high = Math.max(...past, low + 1);
  const left = 305 - 5 * past.length;
  line.setAttribute("d", `M${left} 70L` + past.map((y, x) =>
    [left + 5 * x, 55 - 50 * (y - low) / (high - low)]).join("L") + "V70");
}
form.onsubmit = () => {
  sent = performance.now();
  ws.send(say.value);
  say.value = "";
  return false;
};
connect();
</script>
"""


def tell():
    free = gc.mem_free()
    server.broadcast('{"on":"%s","heap":%d,"free":%d,"up":%d,"clients":%d,"messages":%d}' % (
        sys.platform, free + gc.mem_alloc(), free, time() - start, len(server.clients), messages))


async def handler(ws):
    global messages
    tell()
    async for message in ws:
        messages += 1
        await ws.send(">" + str(message))
        tell()


async def main():
    global server
    server = await aio.serve(handler, port=port, page=PAGE, max_message_len=1024)
    print("serving on port", port)
    while True:
        tell()
        await asyncio.sleep(1)


asyncio.run(main())
