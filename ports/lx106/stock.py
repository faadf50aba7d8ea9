# As the ESP8266's own firmware: without modwebsocket, to be installed into.
include("$(MPY_DIR)/extmod/asyncio")
module("_boot.py", base_path="modules", opt=3)
