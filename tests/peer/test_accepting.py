"""The blocking style's server side: modwebsocket.accepting."""

import asyncio
import socket

import pytest
import websockets.asyncio.client
import websockets.exceptions
from peer.servers import CLOSE, FIN, TEXT, close_payload, frame
from peer.test_serve import KEY

SERVER = """
import socket, sys
from modwebsocket import accepting, HandshakeError
from modwebsocket.blocking import ConnectionClosed

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(socket.getaddrinfo("0.0.0.0", int(sys.argv[1]))[0][-1])
listener.listen(4)
print("serving")
"""
REQUEST = (f"GET /a?b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()


def test_server_echoes(listening):
    async def visit(port):
        connect = websockets.asyncio.client.connect
        async with asyncio.timeout(30), connect(
            f"ws://127.0.0.1:{port}/a?b", subprotocols=["foo"]
        ) as ws:
            for data in ("f", "f" * 3000, b"\0" * 1000):
                await ws.send(data)
                assert await ws.recv() == data
            await (await ws.ping())
            return ws.subprotocol

    lines, got = listening("""
        incoming = accepting.Incoming(listener.accept()[0])
        request = incoming.request()
        ws = incoming.open(request.answer(request.check(["foo"])))
        print(request.path, request.headers["upgrade"], ws.link.status)
        for message in ws:
            ws.send(message, ws.opcode)
        print(ws.link.cause, ws.link.code)
    """, lambda port: asyncio.run(visit(port)))
    assert got == "foo"
    assert lines == ["/a?b websocket 101", "peer 1000"]


def test_two_connections_take_turns(listening):
    async def visit(port):
        connect = websockets.asyncio.client.connect
        url = f"ws://127.0.0.1:{port}/"
        async with asyncio.timeout(30), connect(url) as one, connect(url) as two:
            await one.send("1")
            await two.send("2")
            return await one.recv(), await two.recv()

    lines, got = listening("""
        def accepted():
            incoming = accepting.Incoming(listener.accept()[0], parts=True)
            request = incoming.request()
            return incoming.open(request.answer(request.check()))
        one = accepted()
        two = accepted()
        two.send(two.recv() + b" of two")
        one.send(one.recv() + b" of one")
        print(one.offset, one.final)
        one.close()
        two.close()
    """, lambda port: asyncio.run(visit(port)))
    assert got == ("1 of one", "2 of two")
    assert lines == ["0 True"]


def exchange(port, data):
    """What comes back for these bytes until the server ends TCP."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(data)
        answer = b""
        while more := s.recv(4096):
            answer += more
        return answer


def test_server_refuses_and_hangs_up(listening):
    def client(port):
        return [exchange(port, data) for data in
                (b"GET / HTTP/2.0\r\n\r\n", REQUEST.replace(b"13", b"12"), b"POST /", b"x" * 5000)]

    lines, answers = listening("""
        for _ in range(4):
            incoming = accepting.Incoming(listener.accept()[0])
            try:
                incoming.request(500).check()
            except HandshakeError as e:
                print(e)
                incoming.refuse(text=e.args[0])
            except OSError as e:
                print(e.errno)
                incoming.refuse(408)
    """, client)
    assert lines == ["HTTP version", "Sec-WebSocket-Version", "110", "path too long"]
    assert [a.split(b" ")[1] for a in answers] == [b"505", b"426", b"408", b"414"]


def test_what_came_behind_the_request_is_read(listening):
    def client(port):
        hello = bytes((FIN | TEXT, 0x85, 0, 0, 0, 0)) + b"hello"
        return exchange(port, REQUEST + hello)

    lines, answer = listening("""
        incoming = accepting.Incoming(listener.accept()[0])
        request = incoming.request()
        ws = incoming.open(request.answer(request.check()), close_timeout_ms=300)
        print(ws.recv(5000))
        ws.send_raw(b"\\x81\\x03raw")
        ws.send_raw(b"\\x88\\x02\\x0f\\xa0", closing=True)
        try:
            print(ws.recv(5000))
        except ConnectionClosed as e:
            print(e.cause)
    """, client)
    assert lines == ["hello", "closed"]
    assert answer.endswith(frame(FIN | TEXT, b"raw") + b"\x88\x02\x0f\xa0")


@pytest.mark.not_on("lx106", "it has no sys.atexit()")
def test_what_a_script_leaves_open_is_closed_with_1001(listening):
    lines, answer = listening("""
        incoming = accepting.Incoming(listener.accept()[0])
        request = incoming.request()
        ws = incoming.open(request.answer(request.check()), close_timeout_ms=300)
        print("left")
    """, lambda port: exchange(port, REQUEST))
    assert lines == ["left"]
    assert answer.endswith(frame(FIN | CLOSE, close_payload(1001)))
