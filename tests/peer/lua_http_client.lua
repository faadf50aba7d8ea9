-- A WebSocket client of lua-http: echoes with the server at arg[1], messages of arg[2] bytes, too.
local websocket = require "http.websocket"

local ws = websocket.new_from_uri(arg[1], {"foo", "my-awesome-protocol", "bar"})
ws.request.headers:append("x-test", "yes")
assert(ws:connect(10))
print(ws.protocol, ws.headers:get("server"))

local function echo(data, kind)
	assert(ws:send(data, kind, 10))
	local back, back_kind = assert(ws:receive(10))
	assert(back == data and back_kind == kind, "not what was sent")
end
for _, n in ipairs {1, 200, tonumber(arg[2])} do
	echo(("f"):rep(n), "text")
	echo(("\0\1\127\255"):rep(math.floor(n / 4) + 1), "binary")
end
echo("hel\r\nlo", "text")
assert(ws:send_ping("there?"))
assert(ws:send_pong())
print(select(3, ws:receive(0.05)) == require "cqueues.errno".ETIMEDOUT)
echo("still here", "text")
assert(ws:send_frame {FIN = false; MASK = true; opcode = 1; data = "in "})
assert(ws:send_frame {FIN = true; MASK = true; opcode = 0; data = "two"})
print((ws:receive(10)))
print(ws:close(4000, "enough"))
print(ws.got_close_code)
