# What ESP8266 firmware for 2 MiB of flash or more freezes: all that MicroPython's own does, and
# ours.
include("$(PORT_DIR)/boards/ESP8266_GENERIC/manifest_2MiB.py")
include("../../modwebsocket/manifest.py")
