# What the board freezes: asyncio as the ESP8266 firmware does, and our modules.
include("$(MPY_DIR)/extmod/asyncio")
include("../../modwebsocket/manifest.py")
module("_boot.py", base_path="modules", opt=3)
