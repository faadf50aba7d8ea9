# What the board freezes: asyncio as the ESP8266 firmware does, and our modules.
include("stock.py")
include("../../modwebsocket/manifest.py")
