# The targets, and of modwebsocket what has no socket; with line numbers and asserts.
package(
    "modwebsocket",
    ("connection.py", "errors.py", "events.py", "handshake.py", "upgrade.py", "url.py"),
    base_path="../..",
    opt=0,
)
for target in ("codec", "connection", "planted", "request", "response", "url"):
    module("fuzz_%s.py" % target, base_path="../../tests/fuzz", opt=0)
