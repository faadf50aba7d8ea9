-- A WebSocket server of lua-http: prints its port, then serves until it is killed.
-- It sends messages back; "close CODE REASON" closes, "ping" pings first, "hello" says hello twice.
local cqueues = require "cqueues"
local headers = require "http.headers"
local http_server = require "http.server"
local websocket = require "http.websocket"

local function serve(ws)
	for data, kind in ws:each() do
		local code, reason = data:match("^close (%d+) (.*)$")
		if code then
			ws:close(tonumber(code), reason)
		elseif data == "ping" then
			assert(ws:send_ping("there?"))
			assert(ws:send_pong())
			assert(ws:send("pinged"))
		else
			assert(ws:send(data, kind))
		end
	end
	print(ws.got_close_code, ws.got_close_message)
end

local server = assert(http_server.listen {
	host = "127.0.0.1";
	port = 0;
	onstream = function(_, stream)
		local request = assert(stream:get_headers())
		local ws, err = websocket.new_from_stream(stream, request)
		local response = headers.new()
		if not ws then
			response:append(":status", "400")
			assert(stream:write_headers(response, false))
			assert(stream:write_chunk(err, true))
			return
		end
		if request:get(":path") == "/moved" then
			response:append(":status", "302")
			response:append("location", "/echo?from=moved")
			assert(stream:write_headers(response, true))
			return
		end
		response:append(":status", "101")
		response:append("server", "lua-http websocket test")
		assert(ws:accept {headers = response; protocols = {"my awesome-protocol", "foo"}})
		serve(ws)
	end;
	onerror = function(_, _, op, err)
		print("error", op, err)
	end;
})
assert(server:listen())
print((select(3, server:localname())))
io.stdout:setvbuf("line")
io.stdout:flush()
assert(server:loop())
