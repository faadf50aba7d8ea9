"""The script that the project began with, as it was written, but for the port."""

ACCEPTANCE = """
import websocket
ws = websocket.createClient()
ws.on("connection", lambda: print("open"))
ws.on("receive", lambda ws, msg, opcode: ws.send(msg, opcode))
ws.on("close", lambda _, status: print("closed", status))
ws.connect("ws://127.0.0.1:9001/")
"""


def test_acceptance_script_echoes_until_the_server_closes(serve, target, kind):
    async def server(peer):
        text, binary = "x" * target.fits(70_000, 4000), b"y" * target.fits(300_000, 6000)
        for message in ("hello", "grüße", b"\x00\xff", "", text, binary):
            await peer.send(message)
            assert await peer.recv() == message
        await peer.close()

    server = serve(server, kind)
    url = f"{target.host}:{server.port}"
    result = target.run(ACCEPTANCE.replace("127.0.0.1:9001", url))
    server.result()
    assert (result.status, result.lines, result.errors) == (0, ["open", "closed -6"], "")
