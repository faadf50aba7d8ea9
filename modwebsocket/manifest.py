# What a firmware freezes: the engine, and the facade that users import by their API's name.
# opt=3 drops asserts and line numbers.
package(
    "modwebsocket",
    ("__init__.py", "connection.py", "handshake.py", "pump.py", "url.py"),
    base_path="..",
    opt=3,
)
module("websocket.py", base_path="../lua_compat", opt=3)
