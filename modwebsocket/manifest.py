# What a firmware freezes: the engine, and the facade that users import by their API's name.
# opt=3 drops asserts and line numbers.
package(
    "modwebsocket",
    (
        "__init__.py",
        "aio.py",
        "blocking.py",
        "closed.py",
        "connection.py",
        "errors.py",
        "events.py",
        "flow.py",
        "handshake.py",
        "link.py",
        "_loop.py",
        "pump.py",
        "reconnect.py",
        "reconnecting.py",
        "redirect.py",
        "secure.py",
        "server.py",
        "upgrade.py",
        "streams.py",
        "url.py",
    ),
    base_path="..",
    opt=3,
)
module("websocket.py", base_path="../lua_compat", opt=3)
