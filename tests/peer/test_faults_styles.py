"""A bad network, in asyncio and in the blocking style: every call ends, with one reason.

tests/peer/test_faults.py has the same for callbacks.
"""

import asyncio
from contextlib import suppress

import pytest
from peer.servers import BINARY, FIN, TEXT, close_payload, frame
from peer.test_faults import BYE, FRAMES, HEAD_LEN, answer_close, say_it_all

TLS = pytest.mark.not_on("lx106", "its TLS is tested in test_tls.py")
MESSAGES_AT = [HEAD_LEN + FRAMES.index(frame(FIN, "ment")) + 6, HEAD_LEN + len(FRAMES)]

# Connects argv[2] times, one fault each, and does with the connection what talk() says. What the
# third left on the heap and of files is compared with what the last leaves.
ROUNDS = """
    import gc
    import os

    rounds = int(sys.argv[2])
    options = {{"connect_timeout_ms": {timeout_ms}, "ping_interval_ms": {ping_ms},
               "close_timeout_ms": 400}}
    if url[:4] == "wss:":
        options["verify"] = False

    async def listen(ws):
        count = 0
        while True:
            try:
                await ws.recv()
                count += 1
            except ConnectionClosed as e:
                print("ended", e.code, e.cause, count)
                return e

    async def send(ws):
        try:
            while True:
                await ws.send(bytes({size}), 2)
        except ConnectionClosed as e:
            print("ended", e.code, e.cause)
            return e

    async def close(ws):
        await ws.close()
        print("ended", *end_of(ws))

    async def once():
        try:
            ws = await connect(url, **options)
        except HandshakeError as e:
            return print("refused", e.status)
        except OSError as e:
            return print("failed", e.args[-1])
        e = await {talk}(ws)
        for call in (ws.recv, ws.ping, lambda: ws.send("x")):
            try:
                await call()
            except ConnectionClosed as again:
                if e and (again.code, again.cause) != (e.code, e.cause):
                    print("another end", again)
        await ws.close()

    def files():
        return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0

    async def main():
        for i in range(rounds):
            await once()
            await rest(1)
            if pump._links or pump._by_sock:
                print("a link is left")
            gc.collect()
            if i == 2:
                first = files(), gc.mem_alloc()
                least = first[1] + 100_000
            elif i > 2:
                # What a stale word of the stack keeps goes with the next round.
                least = min(least, gc.mem_alloc())
        last = files(), least
        if last[0] != first[0] or last[1] > first[1] + 1000:
            print("leaked", first, last)
    go(main)
"""


@pytest.fixture
def rounds(serve, through, wait, target):
    """rounds(handler, talk, cuts, end, pause_s, **tls) connects once per cut; returns the lines.

    See ROUNDS and Proxy.
    """

    def rounds(handler, talk, cuts, end, pause_s=0, **tls):
        # For a reset lwIP forgets what has just come, and QEMU makes an ordinary end of it.
        pause_s = target.fits(pause_s, 0.1 if end == "reset" else 0.05)
        proxy = through(serve(handler, **tls), cuts=cuts, end=end, pause_s=pause_s)
        timeout_ms, ping_ms = (700, 200) if end == "stall" else (8000, 3000)
        script = ROUNDS.format(talk=talk, size=target.fits(300_000, 3000), timeout_ms=timeout_ms,
                               ping_ms=ping_ms)
        url = proxy.url.replace("ws:", "wss:") if tls else proxy.url
        lines = wait(script, url, len(cuts), timeout_s=60, heap="8M")
        assert len(lines) == len(cuts), lines
        return lines

    return rounds


@pytest.mark.parametrize(("end", "unopened", "opened"), [
    ("reset", "os", "os"), ("eof", "eof", "eof"), ("stall", "deadline", "health"),
])
def test_cut_at_any_byte_ends_every_call(rounds, target, end, unopened, opened):
    step = 60 if end == "stall" else target.fits(1, 9)
    cuts = [0, *range(1, HEAD_LEN + len(FRAMES) + len(BYE), step), None]
    lines = rounds(say_it_all, "listen", cuts, end)
    wrong = []
    for cut, line in zip(cuts[:-1], lines, strict=False):
        right = f"failed {unopened}"
        if cut >= HEAD_LEN:
            # A reset may overtake what came before it.
            count = sum(cut >= at for at in MESSAGES_AT) if end != "reset" else line.split()[-1]
            right = f"ended 1006 {opened} {count}"
        if line != right:
            wrong.append((cut, line, right))
    assert wrong == []
    assert lines[-1] == "ended 1000 peer 2"


@pytest.mark.parametrize("end", ["reset", "eof", "stall"])
def test_cut_while_closing_is_no_error(rounds, target, end):
    cuts = [*range(HEAD_LEN, HEAD_LEN + len(BYE)), None]
    lines = rounds(answer_close, "close", cuts, end)
    # The first may come before the call.
    assert lines.pop(0) in ("ended 1006 closed", "ended 1006 os", "ended 1006 eof")
    assert lines == [*["ended 1006 closed"] * (len(BYE) - 1), "ended 1000 closed"]


@pytest.mark.parametrize(("end", "cause"), [("reset", "os"), ("eof", "eof"), ("stall", "health")])
def test_cut_while_the_client_sends(rounds, end, cause):
    lines = rounds(answer_close, "send", [HEAD_LEN] * 4, end, pause_s=0.05)
    assert lines == [f"ended 1006 {cause}"] * 4


async def say_it_all_in_records(wire):
    """A handler: the same as say_it_all(), with a TLS record for each piece."""
    with suppress(ConnectionError, EOFError):
        await wire.open()
        for i in range(0, len(FRAMES + BYE), 50):
            await wire.send((FRAMES + BYE)[i : i + 50])
        await wire.ended()


@TLS
@pytest.mark.parametrize(("end", "unopened", "opened"), [
    ("reset", {"os"}, {"os"}), ("eof", {"the", "eof"}, {"eof"}),
    ("stall", {"deadline"}, {"health"}),
])
def test_cut_of_tls_ends_every_call(rounds, certificates, end, unopened, opened):
    # ServerHello, certificate, key exchange, the upgrade, frames: about 1400 bytes.
    cuts = [0, 1, 4, 5, 6, *range(50, 1350, 23), None]
    if end == "stall":
        cuts = [0, 5, 300, 800, 1200, 1300, None]
    lines = rounds(say_it_all_in_records, "listen", cuts, end, tls=certificates.server())
    words = [line.split() for line in lines]
    assert [w[0] for w in words] == sorted([w[0] for w in words], reverse=True), lines
    assert {w[1] for w in words if w[0] == "failed"} <= unopened, lines
    assert {w[2] for w in words if w[:2] == ["ended", "1006"]} == opened, lines
    assert lines[-1] == "ended 1000 peer 2"


# ---- Silence


def test_black_hole_ends_in_time(visit, black_hole):
    assert visit("""
        import time
        began_at = time.ticks_ms()
        visit(url, connect_timeout_ms=300)
        print(290 <= time.ticks_diff(time.ticks_ms(), began_at) < 3000)
    """, black_hole) == ["failed deadline", "True"]


def test_server_that_never_reads_ends_the_connection(serve, wait, target):
    async def server(wire):
        await wire.open()
        wire.writer.transport.pause_reading()
        await asyncio.sleep(8)  # at most

    lines = wait("""
        async def main():
            ws = await connect(url, ping_interval_ms=100)
            try:
                while True:
                    await ws.send(bytes(int(sys.argv[2])), 2)
            except ConnectionClosed as e:
                print(e.code, e.cause)
            print(not pump._links)
        go(main)
    """, serve(server).url, target.fits(1_000_000, 3000), heap="16M")
    assert lines == ["1006 health", "True"]


def test_slow_reader_gets_everything(serve, wait, target):
    n = target.fits(400_000, 6000)

    async def server(wire):
        await wire.open()
        for i in range(4):
            got = b""
            while len(got) < n:
                opcode, data = await wire.frame()
                assert opcode == BINARY
                got += data
                await asyncio.sleep(0.1)
            assert got == bytes((i,)) * n
        await wire.send(frame(FIN | TEXT, "good") + BYE)
        await wire.rest()

    lines = wait("""
        async def main():
            ws = await connect(url)
            for i in range(4):
                await ws.send(bytes((i,)) * int(sys.argv[2]), 2)
            print(await ws.recv())
        go(main)
    """, serve(server).url, n, heap="8M")
    assert lines == ["good"]


def test_half_closed_server_still_gets_the_answer_to_its_close(serve, wait):
    async def server(wire):
        await wire.open()
        await wire.send(BYE)
        wire.writer.write_eof()
        return await wire.rest()

    server = serve(server)
    assert wait("""
        async def main():
            ws = await connect(url)
            try:
                await ws.recv()
            except ConnectionClosed as e:
                print(e.code, e.cause)
            await ws.close()
        go(main)
    """, server.url) == ["1000 peer"]
    assert server.result() == [(8, close_payload(1000))]


def test_end_between_the_two_halves_of_a_send_is_no_error(serve, target):
    async def server(wire):
        await wire.open()
        await wire.reader.read(10)
        await asyncio.sleep(0.3)
        await wire.drop()

    # As where the background serves the link between send_now() and sent().
    result = target.run("""
import sys, modwebsocket
def handler(event, data):
    print(event)
link = modwebsocket.Link(sys.argv[1], handler)
while link.stage != "open":
    modwebsocket.step()
data = bytes(int(sys.argv[2]))
result = link.send_now(data, 2)
modwebsocket.run()
print(result, link.sent(result, data, 2), link.cause in ("os", "eof"), link.unsent_len > 0)
""", serve(server).url, target.fits(9_000_000, 6000), heap="32M")
    assert (result.lines, result.errors) == (["3", "5", "-1 False True True"], ""), result
