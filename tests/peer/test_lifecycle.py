"""The life of the process: who serves the connections, and when it ends."""

import asyncio
import threading

import pytest
from peer.conftest import prepare
from peer.servers import CLOSE, FIN, TEXT, Ended, close_payload, frame

BYE = frame(FIN | CLOSE, close_payload(1000))


async def say_hello(wire):
    """A handler: sends a message and closes."""
    await wire.open()
    await wire.send(frame(FIN | TEXT, "hello") + BYE)
    await wire.rest()


async def wait_for_the_end(wire):
    """A handler: opens, returns all that came until TCP ended."""
    await wire.open()
    return await wire.rest()


def test_process_serves_after_the_last_line(talk, kind):
    async def server(peer):
        for i in range(3):
            await peer.send(str(i))
            assert await peer.recv() == str(i)
        await peer.close()

    script = """
        ws = client()
        ws.on("receive", lambda ws, message: ws.send(message))
        ws.connect(url)
        print("last line")
    """
    assert talk(server, script, kind=kind) == ["last line", "open", "closed -6"]


def test_process_ends_when_nothing_was_connected(run):
    lines = run("""
        ws = client()
        print("last line")
    """, connects=0)
    assert lines == ["last line"]


def test_process_ends_when_only_malformed_urls_were_connected(run):
    assert run("""
        client().connect("")
    """) == ["closed -1"]


def test_exception_ends_the_process(serve, target):
    server = serve(wait_for_the_end)
    result = target.run(prepare("""
        ws = client()
        ws.connect(url)
        raise ValueError("mine")
    """), server.url, timeout_s=5)
    assert result.status == 1
    assert "ValueError: mine" in result.errors
    assert result.lines == []


@pytest.mark.parametrize("status", [0, 3])
def test_sys_exit_ends_the_process(serve, target, status):
    server = serve(wait_for_the_end)
    result = target.run(prepare(f"""
        ws = client()
        ws.connect(url)
        sys.exit({status})
    """), server.url, timeout_s=5)
    assert (result.status, result.lines, result.errors) == (status, [], "")


@pytest.mark.not_on("lx106", "SystemExit is a handler's error there: no process serves")
def test_sys_exit_in_handler_ends_the_process(serve, target):
    server = serve(wait_for_the_end)
    result = target.run(prepare("""
        ws = client()
        ws.on("connection", lambda ws: sys.exit(3))
        ws.connect(url)
    """), server.url, timeout_s=5)
    assert result.lines == []
    assert server.result() == []


def interrupted(serve, target, script):
    """The Result of a script that gets a Ctrl-C when it is connected."""
    opened = threading.Event()

    async def server(wire):
        await wire.open(frame(FIN | TEXT, "hello"))
        assert await wire.frame() == (TEXT, b"hello")
        opened.set()
        return await wire.rest()

    server = serve(server)
    process = target.start(prepare(script), server.url)
    assert opened.wait(10)
    process.interrupt()
    result = process.result(5)
    server.result()
    return result


def test_interrupt_ends_serving(serve, target):
    result = interrupted(serve, target, """
        ws = client()
        ws.on("receive", lambda ws, message: ws.send(message))
        ws.connect(url)
    """)
    assert result.lines == ["open"]
    assert result.status != 0


def test_interrupt_ends_asyncio(serve, target):
    result = interrupted(serve, target, """
        import asyncio

        async def main():
            ws = client()
            ws.on("receive", lambda ws, message: ws.send(message))
            ws.connect(url)
            await asyncio.sleep(30)

        asyncio.run(main())
    """)
    assert result.lines == ["open"]
    assert result.status != 0


@pytest.mark.not_on("lx106", "no sys.atexit()")
def test_earlier_atexit_handler_is_called_at_the_end(talk):
    script = """
        sys.atexit(lambda: print("bye"))
        ws = client()
        ws.connect(url)
    """
    assert talk(say_hello, script) == ["open", "receive 1 hello", "closed -6", "bye"]


@pytest.mark.not_on("lx106", "no sys.atexit()")
def test_earlier_atexit_handler_is_called_after_an_exception(serve, target):
    server = serve(wait_for_the_end)
    result = target.run(prepare("""
        sys.atexit(lambda: print("bye"))
        ws = client()
        ws.connect(url)
        raise ValueError("mine")
    """), server.url, timeout_s=5)
    assert (result.status, result.lines) == (1, ["bye"])


# ---- asyncio


def test_connection_is_a_task_within_asyncio(talk, kind):
    async def server(peer):
        for i in range(3):
            await peer.send(str(i))
            assert await peer.recv() == str(i)
            await asyncio.sleep(0.01)
        await peer.close()

    script = """
        import asyncio

        ticks = 0
        async def tick():
            global ticks
            while True:
                ticks += 1
                await asyncio.sleep_ms(1)

        async def main():
            done = asyncio.Event()
            ws = client()
            ws.on("receive", lambda ws, message: ws.send(message))
            def closed(ws, status):
                print("closed", status)
                done.set()
            ws.on("close", closed)
            ws.connect(url)
            ticking = asyncio.create_task(tick())
            await asyncio.wait_for(done.wait(), 15)
            ticking.cancel()
            print("ticked" if ticks > 1 else "stood still")

        asyncio.run(main())
        print("last line")
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6", "ticked", "last line"]


def test_big_messages_within_asyncio(talk, target, kind):
    size = target.fits(300_000, 6000)

    async def server(peer):
        for i in range(3):
            await peer.send(f"{i}" * size)
            assert await peer.recv() == f"{i}" * size
        await peer.close()

    script = """
        import asyncio

        async def main():
            done = asyncio.Event()
            ws = client()
            ws.on("receive", lambda ws, message: ws.send(message))
            def closed(ws, status):
                print("closed", status)
                done.set()
            ws.on("close", closed)
            ws.connect(url)
            await asyncio.wait_for(done.wait(), 10)

        asyncio.run(main())
    """
    assert talk(server, script, kind=kind) == ["open", "closed -6"]


def test_connect_before_the_loop_runs(talk):
    script = """
        import asyncio

        ws = client()
        ws.connect(url)

        async def main():
            for _ in range(500):
                await asyncio.sleep_ms(10)
                if ws.stage:
                    print("within")
                    return

        asyncio.run(main())
        print("last line")
    """
    assert talk(say_hello, script) == ["open", "receive 1 hello", "closed -6", "within",
                                       "last line"]


def test_background_serves_until_the_loop_runs(talk):
    async def server(wire):
        await wire.open()
        assert await wire.frame() == (TEXT, b"within")
        await wire.send(frame(FIN | TEXT, "hello") + BYE)
        await wire.rest()

    script = """
        import asyncio
        from time import sleep_ms

        ws = client()
        ws.connect(url)
        for _ in range(100):  # on a chip, the timer is faster than the loop
            sleep_ms(5)

        async def main():
            sent = False
            for _ in range(500):
                await asyncio.sleep_ms(10)
                if ws.stage:
                    return
                if not sent and ws._link.stage == "open":
                    ws.send("within")
                    sent = True

        asyncio.run(main())
        print("last line")
    """
    assert talk(server, script) == ["open", "receive 1 hello", "closed -6", "last line"]


def test_asyncio_imported_and_never_run(talk):
    script = """
        import asyncio
        ws = client()
        ws.connect(url)
        print("last line")
    """
    assert talk(say_hello, script) == ["last line", "open", "receive 1 hello", "closed -6"]


@pytest.mark.parametrize("renew", ["", "asyncio.new_event_loop()"])
@pytest.mark.parametrize("open_first", [True, False])
def test_connection_outlives_the_loop(talk, open_first, renew):
    async def server(wire):
        await wire.open()
        if open_first:
            assert await wire.frame() == (TEXT, b"the loop ended")
        await wire.send(frame(FIN | TEXT, "hello") + BYE)
        await wire.rest()

    script = f"""
        import asyncio

        ws = client()
        async def main():
            opened = asyncio.Event()
            def is_open(ws):
                print("open")
                opened.set()
            ws.on("connection", is_open)
            ws.connect(url)
            if {open_first}:
                await opened.wait()

        asyncio.run(main())
        {renew}
        if {open_first}:
            ws.send("the loop ended")
        print("last line")
    """
    lines = talk(server, script)
    lines.remove("last line")  # on a chip, events come between any two lines
    assert lines == ["open", "receive 1 hello", "closed -6"]


def test_connection_outlives_several_loops(talk):
    async def server(wire):
        await wire.open()
        for i in range(3):
            assert await wire.frame() == (TEXT, b"%d" % i)
            await wire.send(frame(FIN | TEXT, str(i)))
        await wire.send(BYE)
        await wire.rest()

    script = """
        import asyncio

        ws = client()
        event = asyncio.Event()
        ws.on("connection", lambda: event.set())
        def receive(ws, message):
            print("receive", message)
            event.set()
        ws.on("receive", receive)
        async def main(i):
            if not i:
                ws.connect(url)
                await event.wait()
            event.clear()
            ws.send(str(i))
            await asyncio.wait_for(event.wait(), 15)

        for i in range(3):
            asyncio.run(main(i))
        print("last line")
    """
    lines = talk(server, script)
    lines.remove("last line")
    assert lines == ["receive 0", "receive 1", "receive 2", "closed -6"]


def test_handler_cancels_the_task_that_ran_last(talk):
    script = """
        import asyncio

        async def main():
            task = asyncio.current_task()
            ws = client()
            def closed(ws, status):
                print("closed", status)
                task.cancel()
            ws.on("close", closed)
            ws.connect(url)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("cancelled")

        asyncio.run(main())
    """
    assert talk(say_hello, script) == ["open", "receive 1 hello", "closed -6",
                                       "cancelled"]


def test_timers_run_within_asyncio(talk):
    async def server(wire):
        await wire.open()
        frames = await wire.rest()
        assert [opcode for opcode, _ in frames] == [9, 9]

    script = """
        import asyncio

        async def main():
            done = asyncio.Event()
            ws = client(ping_interval_ms=50)
            def closed(ws, status):
                print("closed", status)
                done.set()
            ws.on("close", closed)
            ws.connect(url)
            await asyncio.wait_for(done.wait(), 15)

        asyncio.run(main())
    """
    assert talk(server, script) == ["open", "closed -19"]


def test_reconnect_within_asyncio(talk):
    script = """
        import asyncio

        async def main():
            done = asyncio.Event()
            left = 3
            ws = client()
            def closed(ws, status):
                nonlocal left
                print("closed", status)
                left -= 1
                if left:
                    ws.connect(url)
                else:
                    done.set()
            ws.on("close", closed)
            ws.connect(url)
            await asyncio.wait_for(done.wait(), 15)

        asyncio.run(main())
    """
    assert talk(say_hello, script, connects=3) == ["open", "receive 1 hello", "closed -6"] * 3


# ---- Several at once


@pytest.mark.parametrize("within", ["", "asyncio"])
def test_two_connections_at_once(serve, run, within):
    async def library(peer):
        for _ in range(10):
            await peer.send("a")
            assert await peer.recv() == "A"
        await peer.close()

    first = serve(library, "websockets")
    second = serve(library, "aiohttp")
    lines = run(f"""
        def connect(url):
            ws = client()
            ws.on("receive", lambda ws, message: ws.send(message.upper()))
            ws.connect(url)

        def both():
            connect(sys.argv[1])
            connect(sys.argv[2])

        if "{within}":
            import asyncio
            async def main():
                both()
                await asyncio.sleep_ms(100)
            asyncio.run(main())
        else:
            both()
    """, first.url, second.url, connects=2)
    assert sorted(lines) == ["closed -6", "closed -6", "open", "open"]
    first.result()
    second.result()


def test_one_stalls_while_the_other_goes_on(serve, run):
    async def stalled(wire):
        await wire.open()
        await wire.frame()
        await wire.send(BYE)

    async def busy(wire):
        await wire.open()
        for i in range(50):
            await wire.send(frame(FIN | TEXT, str(i)))
            assert await wire.frame() == (TEXT, str(i).encode())
        await wire.send(BYE)
        await wire.rest()

    first, second = serve(stalled), serve(busy)
    lines = run("""
        one, two = client(), client()
        two.on("receive", lambda ws, message: ws.send(message))
        def closed(ws, status):
            print("closed", status, "two")
            one.send("the other is done")
        two.on("close", closed)
        one.connect(sys.argv[1])
        two.connect(sys.argv[2])
    """, first.url, second.url, connects=2)
    assert lines == ["open", "open", "closed -6 two", "closed -6"]
    first.result()
    second.result()


def test_closing_one_in_the_handler_of_the_other(serve, run):
    async def first_handler(wire):
        await wire.open()
        try:
            frames = [await wire.frame()]
        except Ended:
            frames = []
        assert frames == [(CLOSE, close_payload(1000))]
        await wire.close()

    first, second = serve(first_handler), serve(say_hello)
    lines = run("""
        one, two = client(), client()
        one.on("connection", lambda ws: (print("open"), two.connect(sys.argv[2])))
        two.on("receive", lambda ws: one.close())
        two.on("close", lambda ws, status: print("closed", status, "two"))
        one.connect(sys.argv[1])
    """, first.url, second.url, connects=2)
    assert sorted(lines) == ["closed -6 two", "closed 0", "open", "open"]
    first.result()
