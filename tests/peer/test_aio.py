"""The client for asyncio, with servers that others wrote and with one that does as it is told."""

import asyncio
import socket
import textwrap
import threading

import pytest
from peer.servers import BINARY, CLOSE, FIN, PING, PONG, TEXT, close_payload, frame

SIZES = [0, 1, 125, 126, 4000]
BIG_SIZES = [65535, 65536, 100_000]

# Stands before the scripts: run(main) runs `async def main()`; nothing may be left behind it.
PRELUDE = """
import asyncio
import gc
import sys
from time import sleep_ms, ticks_diff, ticks_ms

from modwebsocket import aio, pump

url = sys.argv[1]

def run(main):
    asyncio.run(main())
    assert not pump._links, "a link is left"
    assert not pump._by_sock, "a socket is left"
"""


@pytest.fixture
def talk(serve, target):
    """talk(handler, script, *args) runs a script against a server; returns its lines."""

    def talk(handler, script, *args, kind="wire", **options):
        server = serve(handler, kind)
        text = PRELUDE + textwrap.dedent(script)
        result = target.run(text, server.url, *args, **options)
        server.served(result)
        assert (result.status, result.errors) == (0, ""), result
        return result.lines

    return talk


async def echo(peer):
    """Sends everything back."""
    while (message := await peer.recv()) is not None:
        await peer.send(message)
    assert peer.close_code == 1000


ECHO_SIZES = """
    async def main():
        async with aio.connect(url) as ws:
            for size in [int(n) for n in sys.argv[2:]]:
                for message in ("é." * (size // 3) + "." * (size % 3), b"\\xff" * size):
                    await ws.send(message, 1 if isinstance(message, str) else 2)
                    assert await ws.recv() == message
        print(ws.code, ws.cause, ws.status)
    run(main)
"""


def test_client_gets_every_size_back(talk, target, kind):
    sizes = SIZES + target.fits(BIG_SIZES, [])
    assert talk(echo, ECHO_SIZES, *sizes, kind=kind) == ["1000 closed 101"]


def test_1000_messages_both_ways_in_order(talk, kind):
    script = """
        count = 1000
        async def feed(ws):
            for i in range(count):
                await ws.send("message %d" % i)

        async def main():
            ws = await aio.connect(url)
            task = asyncio.create_task(feed(ws))
            for i in range(count):
                assert await ws.recv() == "message %d" % i
            await task
            await ws.close()
        run(main)
    """
    assert talk(echo, script, kind=kind, timeout_s=30) == []


def test_1000_messages_that_cross_1000_others(talk):
    # Nobody waits for anybody: what is not read takes lwIP's buffers from acknowledgements.
    async def server(wire):
        async def feed():
            for i in range(1000):
                await wire.send(frame(FIN | TEXT, f"down {i}"))

        await wire.open()
        feeding = asyncio.create_task(feed())
        for i in range(1000):
            assert await wire.frame() == (TEXT, f"up {i}".encode())
        await feeding
        assert await wire.rest() == [(CLOSE, close_payload(1000))]

    script = """
        async def feed(ws):
            for i in range(1000):
                await ws.send("up %d" % i)

        async def main():
            ws = await aio.connect(url, close_timeout_ms=300)
            task = asyncio.create_task(feed(ws))
            for i in range(1000):
                assert await ws.recv() == "down %d" % i
            await task
            await ws.close()
        run(main)
    """
    assert talk(server, script, timeout_s=30) == []


@pytest.mark.long
@pytest.mark.parametrize("target", ["lx106"], indirect=True)
def test_what_lwip_loses_ends_the_connection(serve, target):
    # After eight segments without an acknowledgement modlwip waits for 10 s, and then claims to
    # have sent the ninth.
    async def handler(wire):
        await wire.open()
        frames = await wire.rest()
        assert frames == [(TEXT, str(i).encode()) for i in range(len(frames))]

    script = """
        import lx106

        async def main():
            ws = await aio.connect(url)
            lx106.lose(1)
            try:
                for i in range(20):
                    await ws.send(str(i))
            except aio.ConnectionClosed:
                print(ws.cause, ws.errno)
            lx106.lose(0)
        run(main)
    """
    server = serve(handler, wait_s=30)
    result = target.run(PRELUDE + textwrap.dedent(script), server.url, timeout_s=20)
    server.served(result)
    assert (result.status, result.errors, result.lines) == (0, "", ["os 110"])


def test_iteration_ends_at_1000_and_1001_and_raises_otherwise(talk, kind):
    codes = iter((1000, 1001, 1011, 3333))

    async def server(peer):
        await peer.send("one")
        await peer.send("two")
        await peer.close(next(codes), "why")

    script = """
        async def main():
            for _ in range(4):
                ws = await aio.connect(url)
                try:
                    async for message in ws:
                        print(message)
                    print("end", ws.code, ws.reason)
                except aio.ConnectionClosed as e:
                    print("raised", e.code, e.reason, e.cause)
        run(main)
    """
    assert talk(server, script, kind=kind) == [
        "one", "two", "end 1000 why", "one", "two", "end 1001 why",
        "one", "two", "raised 1011 why peer", "one", "two", "raised 3333 why peer"]


def test_iteration_ends_when_the_peer_gives_no_code(talk):
    async def server(wire):
        await wire.open(frame(FIN | CLOSE))
        assert await wire.rest() == [(CLOSE, b"")]

    script = """
        async def main():
            async with aio.connect(url) as ws:
                async for message in ws:
                    pass
                print(ws.code)
        run(main)
    """
    assert talk(server, script) == ["1005"]


def test_connections_go_on_in_a_new_event_loop(talk, kind):
    script = """
        async def fails():
            global old
            old = await aio.connect(url)
            raise ValueError

        try:
            asyncio.run(fails())
        except ValueError:
            pass
        asyncio.new_event_loop()

        async def main():
            for ws in await aio.connect(url), old:
                await ws.send("hello")
                print(await asyncio.wait_for(ws.recv(), 5))
                await ws.ping()
                await ws.close()
        run(main)
    """
    assert talk(echo, script, kind=kind) == ["hello", "hello"]


def test_client_sends_its_code_and_reason(talk, kind):
    async def server(peer):
        assert await peer.recv() is None
        assert peer.close_code == 3001

    script = """
        async def main():
            ws = await aio.connect(url)
            await ws.close(3001, "grüße")
            print(ws.code, ws.cause)
            for call in (ws.recv, ws.ping, lambda: ws.send("x")):
                try:
                    await call()
                except aio.ConnectionClosed as e:
                    print(e.code, isinstance(e, OSError))
            await ws.close()
        run(main)
    """
    answer = 1000 if kind == "aiohttp" else 3001
    lines = talk(server, script, kind=kind)
    assert lines == [f"{answer} closed", *[f"{answer} True"] * 3]


def test_messages_before_the_close_are_taken_after_it(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "early") + frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        async def main():
            ws = await aio.connect(url)
            await asyncio.sleep_ms(100)
            print(ws.stage, ws.code, await ws.recv())
            try:
                await ws.recv()
            except aio.ConnectionClosed as e:
                print(e.code)
        run(main)
    """
    assert talk(server, script) == ["closing 1000 early", "1000"]


def test_client_answers_pings_while_nobody_waits(talk):
    async def server(wire):
        await wire.open()
        for i in range(3):
            await wire.send(frame(FIN | PING, f"{i}"))
            assert await wire.frame() == (PONG, b"%d" % i)
        await wire.send(frame(FIN | TEXT, "done"))
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))

    script = """
        async def main():
            async with aio.connect(url) as ws:
                await asyncio.sleep_ms(300)
                print(await ws.recv())
        run(main)
    """
    assert talk(server, script) == ["done"]


def test_ping_returns_the_round_trip_time(talk):
    async def server(wire):
        await wire.open()
        first, second, third = [(await wire.frame())[1] for _ in range(3)]
        await asyncio.sleep(0.2)
        # The answer to a later one answers those before (RFC 6455 §5.5.3).
        await wire.send(frame(FIN | PONG, b"unasked") + frame(FIN | PONG, second))
        await wire.send(frame(FIN | PONG, third))
        assert first != second != third
        await wire.rest()

    script = """
        async def main():
            async with aio.connect(url, close_timeout_ms=100) as ws:
                for ms in await asyncio.gather(ws.ping(), ws.ping(), ws.ping()):
                    print(150 < ms < 3000)
        run(main)
    """
    assert talk(server, script) == ["True"] * 3


def test_real_servers_answer_ping(talk, kind):
    script = """
        async def main():
            async with aio.connect(url) as ws:
                print(0 <= await ws.ping() < 3000)
        run(main)
    """
    assert talk(echo, script, kind=kind) == ["True"]


def test_two_connections_at_once(talk, kind):
    script = """
        async def converse(name):
            async with aio.connect(url) as ws:
                for i in range(50):
                    await ws.send(name + str(i))
                    assert await ws.recv() == name + str(i)
            return name

        async def main():
            print(await asyncio.gather(converse("a"), converse("b")))
        run(main)
    """
    assert talk(echo, script, kind=kind) == ["['a', 'b']"]


def test_protocol_and_headers_are_negotiated(talk):
    async def server(wire):
        await wire.request()
        assert wire.header("Sec-WebSocket-Protocol") == "chat"
        assert wire.header("X-Token") == "secret"
        await wire.send(wire.answer(Sec_WebSocket_Protocol="chat"))
        await wire.rest()

    script = """
        async def main():
            headers = [("Sec-WebSocket-Protocol", "chat"), ("X-Token", "secret")]
            ws = await aio.connect(url, headers=headers, protocols=["chat"], close_timeout_ms=50)
            print(ws.protocol, ws.request)
            await ws.close()
        run(main)
    """
    assert talk(server, script) == ["chat None"]


# ---- What goes wrong


def test_refused_handshake_raises_with_the_status(serve, target, kind):
    server = serve(echo, kind, refuse=403)
    result = target.run(PRELUDE + textwrap.dedent("""
        from modwebsocket import HandshakeError
        async def main():
            try:
                await aio.connect(url)
            except HandshakeError as e:
                print(e, e.status)
        run(main)
    """), server.url)
    assert (result.lines, result.errors) == (["HTTP 403 403"], ""), result


def test_failed_connects_raise(talk, target):
    async def server(wire):
        await wire.request()
        await wire.rest() if wire.head.startswith(b"GET /slow") else await wire.close()

    script = """
        from modwebsocket import URLError
        async def main():
            for address in (url, url + "slow", sys.argv[2], "http://host", "ws://"):
                try:
                    await aio.connect(address, connect_timeout_ms=1000)
                except (OSError, URLError) as e:
                    print(type(e).__name__, e.args[-1])
        run(main)
    """
    # A port at which nobody listens.
    lines = talk(server, script, f"ws://{target.host}:1/", timeout_s=20)
    assert lines[:2] == ["OSError eof", "OSError deadline"]
    assert lines[2].split()[0] == "OSError"
    assert [line.split()[0] for line in lines[3:]] == ["URLError", "URLError"]


def test_reset_raises_for_all_who_wait(talk):
    async def server(wire):
        await wire.open()
        await wire.frame()
        await wire.drop()

    script = """
        async def attempt(what):
            try:
                await what
            except aio.ConnectionClosed as e:
                return e.code, e.cause in ("os", "eof")

        async def main():
            ws = await aio.connect(url)
            print(await asyncio.gather(attempt(ws.recv()), attempt(ws.recv()),
                                       attempt(ws.ping())))
        run(main)
    """
    assert talk(server, script) == ["[(1006, True), (1006, True), (1006, True)]"]


def test_broken_frame_ends_iteration_with_an_error(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, b"good") + frame(FIN | TEXT, b"\xff"))
        assert await wire.frame() == (CLOSE, close_payload(1007))

    script = """
        async def main():
            async with aio.connect(url, close_timeout_ms=200) as ws:
                try:
                    async for message in ws:
                        print(message)
                except aio.ConnectionClosed as e:
                    print(e.cause)
        run(main)
    """
    assert talk(server, script) == ["good", "text"]


def test_wrong_arguments_raise_and_the_connection_lives(talk, kind):
    script = """
        async def main():
            async with aio.connect(url) as ws:
                for args in (("x", 8), ("x", 3), (b"\\xff", 1), (1,), ("\\0" * 126, 9)):
                    try:
                        await ws.send(*args)
                    except (ValueError, TypeError) as e:
                        print(type(e).__name__)
                try:
                    await ws.close(1005)
                except ValueError:
                    print("close")
                await ws.send("still here")
                print(await ws.recv())
        run(main)
    """
    assert talk(echo, script, kind=kind) == [
        *["ValueError"] * 3, "TypeError", "ValueError", "close", "still here"]


# ---- Cancellation


def test_recv_that_timed_out_loses_no_message(talk):
    async def server(wire):
        await wire.open()
        for i in range(20):
            await wire.send(frame(FIN | TEXT, f"{i}"))
            await asyncio.sleep(0.013)
        await wire.rest()

    script = """
        async def main():
            timeouts = 0
            async with aio.connect(url, close_timeout_ms=50) as ws:
                i = 0
                while i < 20:
                    task = asyncio.create_task(ws.recv())
                    await asyncio.sleep_ms(3)
                    if not task.done():
                        task.cancel()
                        timeouts += 1
                    try:
                        assert await task == str(i)
                        i += 1
                    except asyncio.CancelledError:
                        pass
                try:
                    await asyncio.wait_for_ms(ws.recv(), 20)
                except asyncio.TimeoutError:
                    print("timeout")
            print(timeouts > 10)
        run(main)
    """
    assert talk(server, script) == ["timeout", "True"]


def test_message_for_a_cancelled_recv_goes_to_another(talk):
    async def server(wire):
        await wire.open()
        await wire.frame()
        await wire.send(frame(FIN | TEXT, "one") + frame(FIN | TEXT, "two"))
        await wire.rest()

    script = """
        async def main():
            ws = await aio.connect(url, close_timeout_ms=50)
            tasks = [asyncio.create_task(ws.recv()) for _ in range(3)]
            await asyncio.sleep_ms(10)
            # Cancelled once a message has woken it, before it runs.
            def meddle(ws, data):
                ws._arrived(data)
                tasks[1].cancel()
            ws.on_message(meddle, ws, 2)
            await ws.send("go")
            print(await tasks[0], await tasks[2])
            try:
                await tasks[1]
            except asyncio.CancelledError:
                print("cancelled")
            # The first one, which reads for all, is cancelled, and the next one reads.
            tasks = [asyncio.create_task(ws.recv()) for _ in range(2)]
            await asyncio.sleep_ms(10)
            tasks[0].cancel()
            await asyncio.sleep_ms(10)
            print(tasks[0].done(), tasks[1].done())
            await ws.close()
        run(main)
    """
    assert talk(server, script) == ["one two", "cancelled", "True False"]


def test_recv_is_woken_while_another_task_is_blocked_in_send(talk, target):
    size = target.fits(3_000_000, 8000)

    async def server(wire):
        await wire.open()
        assert (await wire.frame())[1] == b"first"
        await wire.send(frame(FIN | TEXT, "a"))
        await asyncio.sleep(0.1)
        await wire.send(frame(FIN | TEXT, "b"))
        assert (await wire.frame()) == (BINARY, bytes(size))
        await wire.send(frame(FIN | TEXT, "c"))
        await wire.rest()

    script = """
        async def feed(ws):
            await ws.send("first")
            await ws.send(bytes(int(sys.argv[2])), 2)
            print("sent")

        async def main():
            ws = await aio.connect(url, close_timeout_ms=50)
            task = asyncio.create_task(feed(ws))
            got = [await ws.recv(), await ws.recv(), await ws.recv()]
            await task
            print(got)
            await ws.close()
        run(main)
    """
    assert talk(server, script, size, heap="8M") == ["sent", "['a', 'b', 'c']"]


def test_cancelled_connect_leaves_nothing_at_any_stage(talk):
    async def server(wire):
        await wire.ended()

    script = """
        async def main():
            for turns in (0, 1, 2, 3, 5, 8, 40):
                task = asyncio.create_task(connect())
                for _ in range(turns):
                    await asyncio.sleep_ms(1 if turns > 8 else 0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    print("cancelled")
                assert not pump._by_sock
            await asyncio.sleep_ms(20)

        async def connect():
            async with aio.connect(url) as ws:
                pass
        run(main)
    """
    assert talk(server, script) == ["cancelled"] * 7


def test_cancelled_ping_and_close_leave_the_connection_in_order(talk):
    async def server(wire):
        await wire.open()
        assert (await wire.frame())[0] == PING
        await wire.send(frame(FIN | TEXT, "usable"))
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await asyncio.sleep(0.2)
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))

    script = """
        async def main():
            ws = await aio.connect(url)
            for call in (ws.ping, ws.close):
                try:
                    await asyncio.wait_for_ms(call(), 50)
                except asyncio.TimeoutError:
                    print(ws._pinged, ws.stage)
                if call == ws.ping:
                    print(await ws.recv())
            await ws.close()
            print(ws.code)
        run(main)
    """
    assert talk(server, script) == ["[] open", "usable", "[] closing", "1000"]


def test_send_waits_for_the_network_and_can_be_cancelled(talk, target):
    size = target.fits(300_000, 6000)

    async def server(wire):
        await wire.open()
        await asyncio.sleep(0.6)
        sizes = [len(data) for opcode, data in await wire.rest() if opcode == BINARY]
        assert set(sizes) == {size}
        return len(sizes)

    script = """
        async def main():
            ws = await aio.connect(url, close_timeout_ms=3000)
            data = bytes(int(sys.argv[2]))
            async def feed():
                global count
                for count in range(1000):
                    await ws.send(data, 2)
            count = 0
            try:
                await asyncio.wait_for_ms(feed(), 300)
            except asyncio.TimeoutError:
                print("waits")
            await ws.close()
            print(ws.unsent_len)
        run(main)
    """
    assert talk(server, script, size, heap="4M", timeout_s=20) == ["waits", "0"]


# ---- Back-pressure and idleness


def test_full_inbox_stops_reading_and_goes_on(talk, target):
    count = target.fits(3000, 600)
    sent = []

    async def server(wire):
        await wire.open()
        for i in range(count):
            await wire.send(frame(FIN | TEXT, f"{i}:" + "x" * 1000))
            sent.append(i)
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        async def main():
            async with aio.connect(url, max_inbox=8, max_inbox_len=6000) as ws:
                await asyncio.sleep_ms(300)
                print(len(ws._inbox))
                i = 0
                async for message in ws:
                    assert message == str(i) + ":" + "x" * 1000
                    assert len(ws._inbox) <= 8
                    i += 1
            print(i)
        run(main)
    """
    lines = talk(server, script, timeout_s=30)
    # Seven, or six if the bytes of as many came first.
    assert lines in (["6", str(count)], ["7", str(count)])


def test_many_small_messages_in_one_segment_do_not_overfill_the_inbox(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "a") * 300)
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))
        await wire.rest()

    script = """
        async def main():
            async with aio.connect(url, max_inbox=4) as ws:
                await asyncio.sleep_ms(100)
                n = 0
                async for message in ws:
                    assert len(ws._inbox) <= 4
                    n += 1
            print(n)
        run(main)
    """
    assert talk(server, script) == ["300"]


def test_close_with_a_full_inbox_does_not_wait_for_its_reader(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "a") * 20)
        assert await wire.frame() == (CLOSE, close_payload(1000))
        await wire.send(frame(FIN | CLOSE, close_payload(1000)))

    script = """
        async def main():
            ws = await aio.connect(url, max_inbox=2)
            await asyncio.sleep_ms(100)
            start = ticks_ms()
            await ws.close()
            print(ws.code, ticks_diff(ticks_ms(), start) < 1000, await ws.recv())
        run(main)
    """
    assert talk(server, script) == ["1000 True a"]


def test_idle_connections_cost_nothing_between_pings(talk, target):
    async def server(wire):
        await wire.open()
        await wire.rest()

    # The loop's waits are counted: one per look at the clock, four of which go to a ping's time.
    script = """
        from asyncio import core
        async def main():
            waits = 0
            def counted(dt):
                nonlocal waits
                waits += 1
                return wait(dt)
            links = []
            for _ in range(int(sys.argv[2])):
                links.append(await aio.connect(url, ping_interval_ms=4000, close_timeout_ms=50))
            readers = [asyncio.create_task(ws.recv()) for ws in links]
            await asyncio.sleep_ms(100)
            wait = core._io_queue.wait_io_event
            core._io_queue.wait_io_event = counted
            await asyncio.sleep_ms(900)
            core._io_queue.wait_io_event = wait
            print(waits)
            for reader, ws in zip(readers, links):
                reader.cancel()
                await ws.close()
        run(main)
    """
    count = target.fits(20, 2)
    # Each connection's timer once at most, and this script's two; a busy loop has thousands.
    waits = int(talk(server, script, count)[0])
    print(waits, "turns of the loop in 0.9 s with", count, "connections")
    assert waits <= 2 + count


def test_streams_of_asyncio_are_served_beside(talk, target):
    listener = socket.create_server(("127.0.0.1", 0))

    def send_back():
        with listener, listener.accept()[0] as peer:
            while data := peer.recv(65536):
                peer.sendall(data)

    thread = threading.Thread(target=send_back)
    thread.start()
    # More than the sockets hold: the stream waits to be read and to be written at once.
    script = """
        async def main():
            host = url.split("/")[2].split(":")[0]
            reader, writer = await asyncio.open_connection(host, int(sys.argv[2]))
            size = int(sys.argv[3])
            async def write():
                writer.write(b"x" * size)
                await writer.drain()
            async with aio.connect(url) as ws:
                task = asyncio.create_task(write())
                await asyncio.sleep_ms(100)
                n = 0
                while n < size:
                    n += len(await reader.read(2000))
                    await ws.send("x")
                    assert await ws.recv() == "x"
                await task
            writer.close()
            print(n)
        run(main)
    """
    size = target.fits(3_000_000, 5000)
    port = listener.getsockname()[1]
    assert talk(echo, script, port, size, kind="websockets", heap="64M") == [str(size)]
    thread.join()


def test_keep_alive_finds_a_silent_peer(talk):
    async def server(wire):
        await wire.open()
        await wire.rest()

    script = """
        async def main():
            ws = await aio.connect(url, ping_interval_ms=50, close_timeout_ms=50)
            try:
                await ws.recv()
            except aio.ConnectionClosed as e:
                print(e.code, e.cause)
        run(main)
    """
    assert talk(server, script) == ["1006 health"]


def test_slow_reader_is_not_taken_for_a_dead_peer(talk):
    async def server(wire):
        await wire.open(frame(FIN | TEXT, "a") * 20)
        await wire.rest()

    script = """
        async def main():
            ws = await aio.connect(url, max_inbox=2, ping_interval_ms=40, close_timeout_ms=50)
            await asyncio.sleep_ms(500)
            print(ws.stage)
            await ws.close()
        run(main)
    """
    assert talk(server, script) == ["open"]


def test_200_connects_leave_the_heap_where_it_was(talk, target):
    script = """
        async def once():
            async with aio.connect(url) as ws:
                await ws.send("x")
                await ws.recv()

        async def main():
            for i in range(count + 5):
                await once()
                if i == 4:
                    gc.collect()
                    before = gc.mem_alloc()
            gc.collect()
            print(gc.mem_alloc() - before)
        count = int(sys.argv[2])
        run(main)
    """
    [grown] = talk(echo, script, target.fits(200, 40), kind="websockets", timeout_s=30)
    assert int(grown) <= 256
