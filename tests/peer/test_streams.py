"""Messages longer than the memory: in parts, and sent from a file, a stream or a generator."""

import asyncio
import textwrap

import pytest
from peer.servers import BINARY, CLOSE, FIN, PING, PONG, TEXT, Ended, close_payload, frame

PRELUDE = """
import io, sys, time
import modwebsocket
from modwebsocket.blocking import ConnectionClosed
from modwebsocket.streams import send_stream
url = sys.argv[1]
"""


@pytest.fixture
def script(serve, target):
    """script(handler, text, *args) runs a script against a server; returns its lines.

    What the server's handler returned is script.result.
    """

    def script(handler, text, *args, kind="wire", errors=False, **options):
        server = serve(handler, kind, wait_s=60)
        result = target.run(PRELUDE + textwrap.dedent(text), server.url, *args, **options)
        assert (result.status, bool(result.errors)) == (0, errors), result
        script.result = server.result()
        script.errors = result.errors
        return result.lines

    return script


@pytest.mark.parametrize("blocking", [False, True], ids=["link", "blocking"])
def test_long_message_passes_through_a_small_heap_both_ways(script, target, kind, blocking):
    """10 MB through a heap of 64 KiB; 1 MB on the board."""
    length = target.fits(10_000_000, 1_000_000)
    chunk = bytes(range(256)) * 16

    async def server(peer):
        message = await peer.recv()
        assert message == (chunk * (length // len(chunk) + 1))[:length]
        await peer.send(message[::-1])
        assert await peer.recv() is None

    talk = """
        with modwebsocket.connect(url, parts=True, max_message_len=1 << 24) as ws:
            ws.send_stream(chunks(), 2)
            while True:
                data = ws.recv()
                take(data, ws.offset)
                if ws.final:
                    break
    """ if blocking else """
        def handler(event, data):
            if event == 3:
                send_stream(link, chunks(), 2)
            elif event == 2:
                offset, final = link.part()
                take(data, offset)
                if final:
                    link.close()
        link = modwebsocket.Link(url, handler, parts=True, max_message_len=1 << 24)
        modwebsocket.run()
    """
    lines = script(server, """
        length = int(sys.argv[2])
        count = 0
        ring = bytes(255 - (i & 255) for i in range(1280))
        chunk = bytes(range(256)) * 16

        def chunks():
            left = length
            while left:
                n = min(left, len(chunk))
                yield chunk if n == len(chunk) else chunk[:n]
                left -= n

        def take(data, offset):
            global count
            assert offset == count
            at = 255 - ((length - 1 - offset) & 255)
            assert data == ring[at : at + len(data)]
            count += len(data)
    """ + talk + """
        print(count)
    """, length, kind=kind, heap={"unix": "64k", "stock": "300k"}.get(target.name), timeout_s=60)
    assert lines == [str(length)]


async def read_message(wire):
    """The client's next message: (opcode, payload, how many fragments), and [control frames]."""
    first, data = await wire.fragment()
    opcode, parts, controls = first, 1, []
    while not first & FIN or first & 15 > 2:
        first, more = await wire.fragment()
        if first & 15 > 2:
            controls.append((first & 15, more))
            first = 0 if not opcode & FIN else first
        else:
            assert first & 15 == 0, "another message within a message"
            data += more
            parts += 1
    return opcode & 15, data, parts, controls


@pytest.mark.parametrize("source", [
    "io.BytesIO(data)",
    "[data[:100], data[100:101], bytearray(data[101:1200]), data[1200:]]",
    "(data[i : i + 1] for i in range(len(data)))",
    "io.StringIO(data.decode())",
    "[data.decode(), '', b'']",
], ids=["file", "list", "generator", "text-file", "str"])
def test_text_from_a_source_is_whole_and_cut_between_characters(script, source):
    async def server(wire):
        await wire.open()
        opcode, data, parts, _ = await read_message(wire)
        assert opcode == TEXT and data == "€uro".encode() * 200 and parts > 1
        assert await wire.frame() == (TEXT, b"next")
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script(server, f"""
        data = "€uro".encode() * 200
        ws = modwebsocket.connect(url)
        ws.send_stream({source}, 1)
        ws.send("next")
        list(ws)
    """)


def test_control_frames_go_between_fragments_and_messages_do_not(script):
    async def server(wire):
        await wire.open()
        seen = [await wire.fragment()]
        await wire.send(frame(FIN | PING, b"there?"))
        while not seen[-1][0] & FIN or seen[-1][0] & 15 > 2:
            seen.append(await wire.fragment())
        assert (FIN | PONG, b"there?") in seen and (FIN | PING, b"ours") in seen
        data = [payload for first, payload in seen if first & 15 <= 2]
        assert b"".join(data) == b"0123456789" * 50
        assert {first for first, _ in seen[1:] if first & 15 <= 2} == {0, FIN}
        assert await wire.frame() == (TEXT, b"behind")
        await wire.rest()

    lines = script(server, """
        def source():
            for i in range(50):
                if i == 30:
                    link.send(b"ours", 9)
                    try:
                        link.send("between")
                    except OSError as e:
                        print(e.errno)
                    try:
                        send_stream(link, [b"x"])
                    except OSError as e:
                        print(e.errno)
                time.sleep_ms(5)
                yield b"0123456789"

        def handler(event, data):
            if event == 3:
                link.notify_drained = True
                send_stream(link, source())
            elif event == 4:
                link.notify_drained = False
                link.send("behind")
                link.close()

        link = modwebsocket.Link(url, handler)
        modwebsocket.run()
        print(link.cause)
    """)
    assert lines == ["16", "16", "closed"]


@pytest.mark.parametrize("blocking", [False, True], ids=["link", "blocking"])
@pytest.mark.parametrize("source", ["broken()", "[b'caf', b'\\xc3']", "[b'ab', b'\\xff', b'c']"],
                         ids=["raises", "cut", "not-utf-8"])
def test_source_that_fails_ends_with_1011(script, source, blocking):
    async def server(wire):
        await wire.open()
        first = 0
        while first & 15 != CLOSE:
            first, data = await wire.fragment()
            assert first & FIN == 0 or first & 15 == CLOSE
        await wire.send(frame(FIN | CLOSE, data))
        with pytest.raises(Ended):
            await wire.frame()
        return data

    talk = """
        ws = modwebsocket.connect(url)
        try:
            ws.send_stream({}, 1)
        except ValueError:
            print("closed", ws.link.cause)
        while ws.link._conn:
            modwebsocket.step()
    """ if blocking else """
        def handler(event, data):
            if event == 3:
                send_stream(link, {}, 1)
            elif event == 5:
                print("closed", link.cause)
        link = modwebsocket.Link(url, handler)
        modwebsocket.run()
    """
    lines = script(server, """
        def broken():
            yield b"half"
            raise ValueError("no more")
    """ + talk.format(source), errors=not blocking)
    assert lines == ["closed closed" if blocking else "closed error"]
    assert script.result == close_payload(1011)


def test_source_without_news_is_asked_again(script):
    async def server(wire):
        await wire.open()
        assert (await read_message(wire))[:2] == (BINARY, b"early late")
        await wire.rest()

    script(server, """
        class Slow(io.IOBase):
            turn = 0
            def readinto(self, buf):
                self.turn += 1
                data = {1: b"early ", 4: b"late", 6: b""}.get(self.turn)
                if data is None:
                    return None
                buf[: len(data)] = data
                return len(data)

        def handler(event, data):
            if event == 3:
                send_stream(link, Slow())
                link.notify_drained = True
            elif event == 4:
                link.close()
        link = modwebsocket.Link(url, handler)
        modwebsocket.run()
    """)


def test_close_within_a_stream(script):
    async def server(wire):
        await wire.open()
        first = 0
        while first & 15 != CLOSE:
            first, data = await wire.fragment()
        assert data == close_payload(1000)
        await wire.send(frame(FIN | CLOSE, data))

    assert script(server, """
        def endless():
            while True:
                yield b"x" * 100
        def handler(event, data):
            global count
            if event == 3:
                send_stream(link, endless())
        link = modwebsocket.Link(url, handler)
        for _ in range(20):
            modwebsocket.step(50)
        link.close()
        modwebsocket.run()
        print(link.cause, link.code)
    """) == ["closed 1000"]


def test_peer_that_closes_within_a_stream(script):
    async def server(wire):
        await wire.open()
        await wire.fragment()
        await wire.send(frame(FIN | CLOSE, close_payload(1009, "enough")))
        await asyncio.sleep(0.1)
        data = await wire.ended()
        assert data

    assert script(server, """
        def endless():
            while True:
                yield b"x" * 100
        ws = modwebsocket.connect(url)
        try:
            ws.send_stream(endless())
        except ConnectionClosed as e:
            print((e.code, e.reason))
    """) == ["(1009, 'enough')"]
