include("$(MPY_DIR)/extmod/asyncio")
include("../../modwebsocket/manifest.py")
