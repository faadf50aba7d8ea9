"""wss://: whom a client trusts, what it says of whom it does not, and bytes through TLS."""

import asyncio
import resource
import ssl
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
from peer.certificates import der, pin
from peer.conftest import SET_CLOCK, prepare, too_big
from peer.servers import BINARY, CLOSE, FIN, TEXT, Ended, close_payload, frame, reset
from peer.test_echo import binary
from peer.test_echo import text as text_of

LOCALHOST = pytest.param("localhost", marks=pytest.mark.not_on("lx106", "that is the board there"))

BYE = frame(FIN | CLOSE, close_payload(1000))

# `connect(where, **trust)` runs a link to its end and tells how it went.
ENGINE = SET_CLOCK + """
import sys
import modwebsocket

def connect(where, **options):
    def handler(event, data):
        if event == 3:
            print("open")
        elif event == 5:
            print("ended", link.cause, link.stage, link.errno, link.text)
        elif event < 3:
            print(data)
            link.close()
    link = modwebsocket.Link(where, handler, **options)
    modwebsocket.run()
    return link

def refused(error, where="wss://127.0.0.1:1/", **options):
    try:
        connect(where, **options)
    except error as e:
        print(e)

url = sys.argv[1] if len(sys.argv) > 1 else None
"""


async def greet(peer):
    """A handler: says hello, and waits for the end."""
    await peer.send("hello")
    assert await peer.recv() is None


@pytest.fixture
def engine(target):
    """engine(script, *args): the lines of a script for the engine."""

    def engine(script, *args, **options):
        result = target.run(ENGINE + textwrap.dedent(script), *args, **options)
        assert (result.status, result.errors) == (0, ""), result
        return result.lines

    return engine


# ---- Whom a client trusts

TRUST = {
    "pem file": lambda c: "cadata=sys.argv[2]",
    "der file": lambda c: "cadata=sys.argv[3]",
    "pem bytes": lambda c: f"cadata={c.ca!r}",
    "pem str": lambda c: f"cadata={c.ca.decode()!r}",
    "der bytes": lambda c: f"cadata={der(c.ca)!r}",
    "der bytearray": lambda c: f"cadata=bytearray({der(c.ca)!r})",
    "two CAs": lambda c: f"cadata={c.other + c.ca!r}",
    "with text around": lambda c: f"cadata={b'My CA' + c.ca + b'end'!r}",
    "pin": lambda c: f"pin={pin(c.good)!r}",
    "pin bytes": lambda c: f"pin={bytes.fromhex(pin(c.good))!r}",
    "pin with colons": lambda c: f"pin={bytes.fromhex(pin(c.good)).hex(':').upper()!r}",
    "one of two pins": lambda c: f"pin=({'00' * 32!r}, {pin(c.good)!r})",
    "pin and CA": lambda c: f"pin={pin(c.good)!r}, cadata={c.ca!r}",
    "anybody": lambda c: "verify=False",
}


@pytest.mark.parametrize("kind, trust", [
    *(("websockets", trust) for trust in TRUST), ("aiohttp", "pem bytes"),
])
def test_client_trusts(serve, engine, kind, certificates, trust):
    server = serve(greet, kind, tls=certificates.server())
    lines = engine(f"connect(url, {TRUST[trust](certificates)})", server.url,
                   certificates.pem, certificates.der)
    assert lines == ["open", "hello", "ended closed closing 0 "]
    server.result()


@pytest.mark.parametrize("host", [LOCALHOST, "127.0.0.1"])
def test_client_trusts_a_context(serve, engine, certificates, host):
    server = serve(greet, "websockets", tls=certificates.server())
    lines = engine(f"""
        import tls
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations({der(certificates.ca)!r})
        for _ in range(2):
            connect(url, context=context)
    """, server.url.replace("127.0.0.1", host))
    assert lines == ["open", "hello", "ended closed closing 0 "] * 2


@pytest.mark.parametrize("name", ["good", "rsa", "chain"])
@pytest.mark.parametrize("host", [LOCALHOST, "127.0.0.1"])
def test_certificate_may_name_host_or_address(serve, engine, certificates, host, name):
    server = serve(greet, "websockets", tls=certificates.server(name))
    lines = engine(f"connect(url, cadata={certificates.ca!r})",
                   server.url.replace("127.0.0.1", host))
    assert lines == ["open", "hello", "ended closed closing 0 "]


@pytest.mark.not_on("lx106", "in test_dns.py")
def test_server_name_is_sent_but_no_address(serve, engine, certificates):
    names = []
    context = certificates.server()
    context.sni_callback = lambda sock, name, context: names.append(name)
    server = serve(greet, "websockets", tls=context)
    engine("connect(url, verify=False)", server.url)
    engine("connect(url, verify=False)", server.url.replace("127.0.0.1", "localhost"))
    assert names == [None, "localhost"]


UNSIGNED = "The certificate is not correctly signed by the trusted CA"
CA = "cadata={ca!r}"
REFUSED = {
    "wrong CA": ("good", "127.0.0.1", "cadata={other!r}", UNSIGNED),
    "stranger": ("stranger", "127.0.0.1", CA, UNSIGNED),
    "other host": ("other_host", "localhost", CA,
                   "The certificate Common Name (CN) does not match with the expected CN"),
    "other address": ("other_host", "127.0.0.1", CA,
                      "The certificate Common Name (CN) does not match with the expected CN"),
    "expired": ("expired", "127.0.0.1", CA, "The certificate validity has expired"),
    "not yet valid": ("early", "127.0.0.1", CA,
                      "The certificate validity starts in the future"),
    "wrong pin": ("good", "127.0.0.1", "pin='00' * 32", "pin: the server's is {pin}"),
    "wrong pin, right CA": ("good", "127.0.0.1", CA + ", pin='00' * 32",
                            "pin: the server's is {pin}"),
    "right pin, wrong CA": ("good", "127.0.0.1", "pin={pin!r}, cadata={other!r}", UNSIGNED),
}


@pytest.mark.parametrize("case", [
    pytest.param(case, marks=LOCALHOST.marks if REFUSED[case][1] == "localhost" else ())
    for case in REFUSED
])
def test_client_refuses(serve, engine, certificates, case):
    name, host, trust, text = REFUSED[case]
    known = {"ca": certificates.ca, "other": certificates.other, "pin": pin(certificates.good)}
    server = serve(greet, "websockets", tls=certificates.server(name))
    lines = engine(f"connect(url, {trust.format(**known)})",
                   server.url.replace("127.0.0.1", host))
    line, = lines
    ended, cause, stage, errno, said = line.split(" ", 4)
    assert (ended, cause, stage, int(errno) < -255) == ("ended", "tls", "tls", True), line
    assert said.startswith(text.format(**known))
    assert server.count == 0


@pytest.mark.parametrize("name", ["early", "expired"])
def test_clock_that_was_never_set_is_named(serve, engine, certificates, name):
    server = serve(greet, "websockets", tls=certificates.server(name))
    line, = engine(f"""
        if RTC:
            RTC().datetime((2000, 1, 1, 0, 0, 0, 0, 0))
        else:
            from modwebsocket import secure
            secure.gmtime = lambda: (2000, 1, 1, 0, 0, 9, 5, 1)
        connect(url, cadata={certificates.ca!r})
    """, server.url)
    assert line.endswith("; the clock says 2000-01-01: set it first"), line


def test_client_that_trusts_nobody_does_not_connect(serve, engine):
    async def server(wire):
        return await wire.ended()

    server = serve(server)
    lines = engine("refused(ValueError, url)", server.url.replace("ws:", "wss:"))
    assert lines == ["wss:// needs cadata, pin or context, or verify=False"]
    assert server.count == 0


@pytest.mark.parametrize("error, trust, text", [
    ("ValueError", "cadata=b''", "cadata: no certificate"),
    ("ValueError", "cadata=b'0123'", "cadata: not a certificate"),
    ("ValueError", "cadata='-----BEGIN CERTIFICATE-----'", "cadata: no certificate"),
    ("ValueError", "pin=b'123'", "pin: not a SHA-256"),
    ("ValueError", "pin=()", "pin: none"),
    ("ValueError", "cadata=b'', verify=False",
     "wss:// needs cadata, pin or context, or verify=False"),
    ("OSError", "cadata='no/such/file'", "[Errno 2] ENOENT"),
])
def test_wrong_trust_is_told_at_once(engine, error, trust, text):
    assert engine(f"refused({error}, {trust})") == [text]


def test_ws_url_takes_the_same_options(serve, engine):
    async def server(peer):
        await greet(peer)

    server = serve(server, "websockets")
    assert engine("connect(url, cadata=b'')", server.url)[0] == "open"


@pytest.mark.parametrize("module, text", [
    ("None", "this build's TLS cannot verify a server"),
    ("object()", "this build's TLS cannot verify a server"),
])
def test_build_that_cannot_verify_says_so(engine, module, text):
    assert engine(f"""
        sys.modules["tls"] = {module}
        for trust in ({{"cadata": b""}}, {{"pin": "00" * 32}}, {{"verify": False}}):
            refused(NotImplementedError, **trust)
    """) == [text] * 3


# ---- The handshake


def test_server_of_tls_1_2_and_no_other_is_fine(serve, engine, certificates):
    tls = certificates.server(version=ssl.TLSVersion.TLSv1_2)
    server = serve(greet, "websockets", tls=tls)
    assert engine("connect(url, verify=False)", server.url)[0] == "open"


def test_server_without_a_version_in_common_is_told(serve, engine, certificates):
    tls = certificates.server(version=ssl.TLSVersion.TLSv1_3)
    server = serve(greet, "websockets", tls=tls)
    # This server hangs up and says nothing.
    assert engine("connect(url, verify=False)", server.url) == [
        "ended tls tls -29312 the server hung up"]


def test_handshake_that_stalls_ends_in_time_and_costs_nothing(serve, engine):
    async def server(wire):
        return await wire.ended()

    server = serve(server)
    before = time.monotonic(), cpu_s()
    line, = engine("connect(url, verify=False, connect_timeout_ms=1500)",
                   server.url.replace("ws:", "wss:"))
    assert line == "ended deadline tls 0 "
    assert 1.4 < time.monotonic() - before[0] < 4
    assert cpu_s() - before[1] < 0.5
    assert server.result()[:2] == b"\x16\x03"


def cpu_s():
    """The processor's time that ended processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_close_in_the_handshake_ends_it(serve, engine):
    async def server(wire):
        return await wire.ended()

    server = serve(server)
    assert engine("""
        link = modwebsocket.Link(url, lambda event, data: print(event), verify=False)
        while link.stage != "tls":
            modwebsocket.step()
        modwebsocket.step(50)
        link.close()
        modwebsocket.run()
        print(link.cause, link.stage)
    """, server.url.replace("ws:", "wss:")) == ["5", "closed tls"]
    assert server.result()[:2] == b"\x16\x03"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(100)])
def test_server_that_speaks_no_tls_is_told(serve, engine, answer):
    async def server(wire):
        await wire.reader.read(1)
        await wire.send(answer)
        await wire.ended()

    server = serve(server)
    line, = engine("connect(url, verify=False)", server.url.replace("ws:", "wss:"))
    assert line.startswith("ended tls tls -"), line


@pytest.mark.not_on("lx106", "lwIP reports a refused port as errno 104")
def test_refused_tcp_is_an_error_of_the_network(engine):
    assert engine("connect('wss://127.0.0.1:1/', verify=False)") == ["ended os tcp 111 "]


def test_segments_of_one_byte_do(serve, through, engine, certificates):
    server = serve(greet, "websockets", tls=certificates.server())
    proxy = through(server, piece_len=1)
    lines = engine(f"connect(url, cadata={certificates.ca!r})", proxy.url.replace("ws:", "wss:"))
    assert lines == ["open", "hello", "ended closed closing 0 "]
    server.result()


@pytest.mark.not_on("lx106", "no memory for two at once")
def test_handshakes_in_asyncio_fail_as_elsewhere(serve, engine, certificates):
    async def silent(wire):
        await wire.ended()

    server = serve(greet, "websockets", tls=certificates.server())
    stalling = serve(silent)
    lines = engine(f"""
        import asyncio
        async def main():
            def ended(event, data):
                print(event)
            links = [
                modwebsocket.Link(url, ended, cadata={certificates.other!r}),
                modwebsocket.Link(sys.argv[2], ended, verify=False, connect_timeout_ms=300),
                modwebsocket.Link("wss://127.0.0.1:1/", ended, verify=False),
            ]
            await asyncio.sleep(0.6)
            for link in links:
                print(link.cause, link.stage)
        asyncio.run(main())
    """, server.url, stalling.url.replace("ws:", "wss:"))
    assert lines == ["5", "5", "5", "tls tls", "deadline tls", "os tcp"]


@pytest.mark.parametrize("end, expected", [
    ("reset", {"os"}), ("eof", {"tls", "eof"}),
    pytest.param("stall", {"deadline"}, marks=pytest.mark.not_on("lx106", "takes 4 s")),
])
def test_handshake_may_be_cut_anywhere(
        serve, through, engine, target, certificates, end, expected):
    server = serve(greet, "websockets", tls=certificates.server())
    cuts = [0, 1, 4, 5, 6, 50, 90, 300, 600, 800, 900, 950]
    proxy = through(server, cuts=[*cuts, None], end=end)
    lines = engine(f"""
        import os
        open_files = None
        for i in range({len(cuts)}):
            link = connect(url, verify=False, connect_timeout_ms={300 if end == "stall" else 5000})
            # The board has but 5 sockets.
            files = 0 if RTC else len(os.listdir("/proc/self/fd"))
            if open_files not in (None, files):
                print(files, open_files)
            open_files = files
        connect(url, cadata={certificates.ca!r})
    """, proxy.url.replace("ws:", "wss:"))
    assert lines[-3:] == ["open", "hello", "ended closed closing 0 "]
    assert len(lines) == len(cuts) + 3, lines
    # QEMU's network makes an ordinary end of some resets.
    ends = target.fits(set(), {"tls", "eof"})
    assert {line.split()[1] for line in lines[:-3]} <= expected | ends
    assert {line.split()[2] for line in lines[:-3]} <= {"tls", "http", "tcp"}


def test_certificate_is_not_longer_than_the_board_takes(serve, engine, target, certificates):
    server = serve(greet, "websockets", tls=certificates.server("long"))
    lines = engine(f"connect(url, cadata={certificates.ca!r})", server.url)
    assert lines == target.fits(["open", "hello", "ended closed closing 0 "],
                                ["ended tls tls -28928 longer than this build takes"])


def test_record_longer_than_the_client_takes_ends_the_link(serve, engine, certificates):
    async def handler(wire):
        await wire.open()
        below = wire.writer.transport._ssl_protocol._transport
        below.write(b"\x17\x03\x03\x60\x00" + bytes(0x6000))
        await wire.ended()

    server = serve(handler, tls=certificates.server())
    opened, ended = engine("connect(url, verify=False)", server.url)
    assert opened == "open"
    assert ended.startswith("ended record open -"), ended


# ---- Bytes

ECHO = """
    messages = 0
    def handler(event, data):
        global messages
        if event < 3:
            messages += 1
            link.send(data, event)
        elif event == 5:
            print(messages, link.cause, link.code)
    link = modwebsocket.Link(url, handler, verify=False)
    modwebsocket.run()
"""

IN_ASYNCIO = """
    import asyncio
    async def main():
        global link
        link = modwebsocket.Link(url, handler, verify=False)
        while not link.cause:
            await asyncio.sleep_ms(10)
    messages = 0
    def handler(event, data):
        global messages
        if event < 3:
            messages += 1
            link.send(data, event)
        elif event == 5:
            print(messages, link.cause, link.code)
    asyncio.run(main())
"""


@pytest.mark.parametrize("script", [ECHO, IN_ASYNCIO], ids=["run", "asyncio"])
@pytest.mark.parametrize("make", [text_of, binary])
def test_echo_of_every_size(serve, engine, target, kind, certificates, make, script):
    sizes = target.fits((0, 16, 1024, 65536, 1 << 20), (0, 16, 1024, 4096, 6000))

    async def handler(peer):
        for size in sizes:
            message = make(size)
            await peer.send(message)
            assert await peer.recv() == message, size
        await peer.close()

    server = serve(handler, kind, tls=certificates.server())
    assert engine(script, server.url, heap="8M") == ["5 peer 1000"]
    server.result()


@pytest.mark.parametrize("script", [ECHO, IN_ASYNCIO], ids=["run", "asyncio"])
@pytest.mark.parametrize("first", [10, 1000, 1100, *map(too_big, (1536, 8000, 16000))])
def test_frames_in_one_record_do_not_wait(serve, engine, certificates, first, script):
    async def handler(wire):
        await wire.open()
        async with asyncio.timeout(5):
            for _ in range(3):
                # All in one record: what is left of it no socket has news of.
                await wire.send(frame(FIN | BINARY, b"a" * first)
                                + frame(FIN | TEXT, "b") + frame(FIN | TEXT, "c" * 300))
                sizes = [len((await wire.frame())[1]) for _ in range(3)]
                assert sizes == [first, 1, 300]
        await wire.send(BYE)
        await wire.rest()

    server = serve(handler, tls=certificates.server())
    assert engine(script, server.url) == ["9 peer 1000"]
    server.result()


def test_many_small_frames_in_one_record_do_not_wait(serve, engine, target, certificates):
    count = target.fits(1300, 80)

    async def handler(wire):
        await wire.open()
        await wire.send(frame(FIN | TEXT, "0123456789") * count)
        async with asyncio.timeout(5):
            for _ in range(count):
                assert await wire.frame() == (TEXT, b"0123456789")
        await wire.send(BYE)
        await wire.rest()

    server = serve(handler, tls=certificates.server())
    assert engine(ECHO, server.url) == [f"{count} peer 1000"]
    server.result()


@pytest.mark.not_on("lx106", "no memory for two at once")
def test_raising_handler_of_a_flooded_link_starves_no_other(serve, target, certificates):
    async def flooding(wire):
        await wire.open()
        with suppress(ConnectionError):
            while True:
                await wire.send(frame(FIN | TEXT, "hello") * 1000)

    async def modest(wire):
        await wire.open()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            for i in range(20):
                await wire.send(frame(FIN | TEXT, str(i)))
                assert await wire.frame() == (TEXT, str(i).encode())
        await wire.send(BYE)
        await wire.rest()

    flood = serve(flooding, tls=certificates.server())
    modesty = serve(modest, tls=certificates.server())
    result = target.run(prepare("""
        flooded, modest = client(close_timeout_ms=100), client()
        def fail(ws):
            raise ValueError("mine")
        flooded.on("receive", fail)
        flooded.on("connection", lambda: modest.connect(sys.argv[2]))
        modest.on("receive", lambda ws, message: ws.send(message))
        modest.on("close", lambda: flooded.close())
        flooded.connect(url)
    """), flood.url, modesty.url)
    modesty.result()
    assert (result.status, result.lines[-1]) == (0, "closed 0")


def test_answer_and_frames_come_byte_by_byte(serve, engine, certificates):
    async def handler(wire):
        await wire.request()
        data = wire.answer() + frame(FIN | TEXT, "hello") + frame(FIN | BINARY, bytes(200)) + BYE
        for i in range(len(data)):
            await wire.send(data[i : i + 1])  # a record each
        return await wire.rest()

    server = serve(handler, tls=certificates.server())
    assert engine(ECHO, server.url) == ["2 peer 1000"]
    assert [opcode for opcode, _ in server.result()] == [TEXT, BINARY, CLOSE]


def test_server_that_reads_late_gets_every_byte(serve, engine, target, certificates):
    count, longest = target.fits((3000, 3000), (300, 1000))

    async def handler(wire):
        await wire.open()
        await asyncio.sleep(0.5)
        sizes = []
        with suppress(Ended):
            while True:
                opcode, payload = await wire.frame()
                if opcode == CLOSE:
                    await wire.send(BYE)
                    break
                assert payload == bytes([len(sizes) & 255]) * len(payload)
                sizes.append(len(payload))
                if len(sizes) % 50 == 0:
                    await asyncio.sleep(0.01)
        return sizes

    server = serve(handler, tls=certificates.server())
    lines = engine(f"""
        from errno import ENOBUFS

        count = 0
        def go_on():
            global count
            try:
                while count < {count}:
                    link.send(bytes([count & 255]) * (count * 7 % {longest}), 2)
                    count += 1
                link.close()
            except OSError as e:
                if e.errno != ENOBUFS:
                    raise
        def handler(event, data):
            if event == 3 or event == 4:
                go_on()
            elif event == 5:
                print(link.cause, link.code, link.unsent_len)
        link = modwebsocket.Link(url, handler, verify=False)
        link.notify_drained = True
        modwebsocket.run()
    """, server.url, timeout_s=30)
    assert lines == ["closed 1000 0"]
    assert server.result() == [i * 7 % longest for i in range(count)]


# ---- Memory


def test_want_of_memory_is_told_and_the_next_attempt_works(serve, engine, target, certificates):
    if target.name != "lx106":
        pytest.skip("mbedTLS has a heap of its own there")
    server = serve(greet, "websockets", tls=certificates.server())
    lines = engine(f"""
        import gc
        for free in (40000, 16000, 14000, 12000, 10000, 8000, 5000, 3000, 40000):
            ballast = None
            gc.collect()
            ballast = [bytearray(112) for _ in range((gc.mem_free() - free) // 128)]
            try:
                connect(url, cadata={der(certificates.ca)!r})
            except MemoryError:
                print("ended memory")
    """, server.url, timeout_s=20)
    opened = ["open", "hello", "ended closed closing 0 "]
    assert lines[:3] == lines[-3:] == opened
    ends = [line.split()[1] for line in lines if line.startswith("ended")]
    assert (len(ends), ends[-2]) == (9, "memory")
    assert set(ends) <= {"closed", "memory", "os", "tls"}, lines
    assert {line.split()[3] for line in lines if " os " in line} <= {"12"}, lines


# ---- NodeMCU


@pytest.fixture
def nodemcu(serve, target, certificates):
    """nodemcu(config, handler, name): a NodeMCU client's events; see Certificates.server().

    A Path for `cacert` is that of a file, here or on the board.
    """

    def nodemcu(config, handler=greet, name="good", kind="websockets"):
        server = serve(handler, kind, tls=certificates.server(name))
        files = [config.pop("cacert")] if isinstance(config.get("cacert"), Path) else []
        result = target.run(SET_CLOCK + prepare(f"""
            ws = client(**{config!r})
            if len(sys.argv) > 2:
                ws.config({{"cacert": sys.argv[2]}})
            ws.on("receive", lambda ws, message: ws.close())
            ws.connect(url)
        """), server.url, *files)
        assert (result.status, result.errors) == (0, ""), result
        server.served(result)
        return result.lines

    return nodemcu


def test_nodemcu_trusts_anybody_by_default(nodemcu):
    assert nodemcu({}, name="expired") == ["open", "closed 0"]


def test_nodemcu_verifies_with_cacert(nodemcu, certificates):
    config = {"cacert": certificates.ca}
    assert nodemcu(config) == ["open", "closed 0"]
    assert nodemcu(config, name="stranger") == ["closed -128"]
    assert nodemcu({"cacert": certificates.pem}) == ["open", "closed 0"]
    assert nodemcu({"cacert": None}, name="stranger") == ["open", "closed 0"]


def test_nodemcu_verifies_with_pin(nodemcu, certificates):
    assert nodemcu({"pin": pin(certificates.good)}) == ["open", "closed 0"]
    assert nodemcu({"pin": pin(certificates.rsa)}) == ["closed -128"]


def test_nodemcu_is_told_when_tls_breaks(nodemcu):
    async def handler(wire):
        await wire.open()
        below = wire.writer.transport._ssl_protocol._transport
        below.write(b"\x17\x03\x03\x00\x40" + bytes(64))
        await wire.ended()

    assert nodemcu({}, handler, kind="wire") == ["open", "closed -161"]


@pytest.mark.parametrize("how, lines", [
    ("eof", ["open", "closed -99"]), ("reset", ["open", "closed -109"]),
])
def test_nodemcu_is_told_of_the_network_below_tls(nodemcu, how, lines):
    async def handler(wire):
        await wire.open()
        await asyncio.sleep(0.1)
        if how == "reset":
            reset(wire.writer)
        else:
            wire.writer.transport._ssl_protocol._transport.close()

    assert nodemcu({}, handler, kind="wire") == lines
