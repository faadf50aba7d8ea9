# What ESP32 firmware freezes: all that MicroPython's own for the board does, and ours.
try:
    include("$(BOARD_DIR)/manifest.py")
except Exception as error:
    # Most boards have none of their own.  What is missing further down is an error.
    if "No such file" not in str(error) or str(error).count("Error in manifest file") > 1:
        raise
    include("$(PORT_DIR)/boards/manifest.py")
include("../../modwebsocket/manifest.py")
