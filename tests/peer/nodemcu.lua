-- Runs a NodeMCU program on a PC: lua5.2 nodemcu.lua PROGRAM URL. It connects to that URL.
--
-- NodeMCU's modules, as far as docs/porting.md uses them, by cqueues, lua-http and lua-cjson.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local http = require "http.websocket"
local monotime = cqueues.monotime

local loop = cqueues.new()
local path, url = arg[1], arg[2]

sjson = require "cjson"

-- ---- tmr

local start = monotime()
tmr = {ALARM_SINGLE = 0, ALARM_AUTO = 1}
local timer = {}
timer.__index = timer

function tmr.create()
	return setmetatable({}, timer)
end

function tmr.time()
	return math.floor(monotime() - start)
end

function timer:alarm(ms, mode, f)
	self:unregister()
	local run = condition.new()
	self.run = run
	loop:wrap(function()
		while self.run == run and not run:wait(ms / 1000) do
			if mode == tmr.ALARM_SINGLE then
				self.run = nil
			end
			f(self)
		end
	end)
	return true
end

function timer:unregister()
	if self.run then
		self.run:signal()
		self.run = nil
	end
end

-- ---- node, gpio, file

node = {}
function node.heap()
	return 40000
end

gpio = {OUTPUT = 1, LOW = 0, HIGH = 1}
function gpio.mode() end
function gpio.write(pin, level)
	print(level)
end

file = {remove = os.remove, rename = os.rename}
function file.exists(name)
	local f = io.open(name)
	return f and f:close() or false
end

function file.open(name, mode)
	local f = io.open(name, mode)
	return f and {
		readline = function()
			return f:read "*L"
		end,
		close = function()
			if io.type(f) == "file" then
				f:close()
			end
		end,
	}
end

-- ---- websocket

local client = {}
client.__index = client
websocket = {}

function websocket.createClient()
	return setmetatable({handlers = {}}, client)
end

function client:on(event, f)
	self.handlers[event] = f
end

function client:connect()
	loop:wrap(function()
		local ws = http.new_from_uri(url, {"chat"})
		self.closed_by_us = nil
		self.ws = ws
		local status = -17
		if ws:connect(10) then
			self:_tell("connection")
			for message, kind in ws:each() do
				self:_tell("receive", message, kind == "text" and 1 or 2)
			end
			status = self.closed_by_us and 0 or ws.got_close_code and -6 or -99
		end
		self:_tell("close", status)
	end)
end

function client:_tell(event, ...)
	if self.handlers[event] then
		self.handlers[event](self, ...)
	end
end

function client:send(message, opcode)
	assert(self.ws:send(message, opcode == 2 and "binary" or "text"))
end

function client:close()
	self.closed_by_us = true
	self.ws:close()
end

io.stdout:setvbuf "line"
dofile(path)
assert(loop:loop())
