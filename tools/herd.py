"""Simulate what many devices do to their server when it restarts.

    python3 tools/herd.py [--devices 10000] [--seed 1] [--out docs/reconnect.svg]

All are connected when the server goes, for DOWN_S. Then it has time for RATE handshakes per second
(TLS, say), BACKLOG wait at most, and to refuse the others costs it REFUSE_S each. Who has waited
for PATIENCE_S gives up, and the handshake is in vain. Each device tries again after a fixed time,
or as modwebsocket's reconnect.Policy says. The picture shows the attempts per second, and how many
are back. The same seed gives the same picture.
"""

import argparse
import heapq
import importlib.util
import random
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DOWN_S = 5
RATE = 200
BACKLOG = 511
REFUSE_S = 0.0002
PATIENCE_S = 10
SHOWN_S = 240


def load_policy():
    """reconnect.Policy, from its file: the package itself needs MicroPython."""
    spec = importlib.util.spec_from_file_location(
        "reconnect", ROOT / "modwebsocket" / "reconnect.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Policy


def simulate(waits, chance, devices):
    """Let the server restart.

    waits: for each device, a function of no arguments: seconds until its next try. chance: the
    random numbers. Returns (attempts in each second, devices connected at the end of each second,
    handshakes in vain, when the last was back in s or None).
    """
    # When a device hears of it differs a little.
    events = [(chance.random() * 0.2 + waits[i](), i) for i in range(devices)]
    heapq.heapify(events)
    attempts = [0] * SHOWN_S
    back = [0] * SHOWN_S
    queue = deque()  # (since when, device)
    connected = in_vain = 0
    last_at = None
    busy_s = 0.0  # what refusing has cost, and is not paid
    step = 1 / RATE
    for tick in range(SHOWN_S * RATE):
        now = (tick + 1) * step
        while events and events[0][0] <= now:
            at, i = heapq.heappop(events)
            attempts[min(int(at), SHOWN_S - 1)] += 1
            if at < DOWN_S or len(queue) >= BACKLOG:
                if at >= DOWN_S:
                    busy_s = min(busy_s + REFUSE_S, 1)
                heapq.heappush(events, (at + waits[i](), i))
            else:
                queue.append((at, i))
        if busy_s >= step:
            busy_s -= step
        elif queue:
            since, i = queue.popleft()
            if now - since > PATIENCE_S:
                in_vain += 1
                heapq.heappush(events, (max(now, since + PATIENCE_S) + waits[i](), i))
            else:
                connected += 1
                last_at = now
        back[tick // RATE] = connected
    return attempts, back, in_vain, last_at if connected == devices else None


# ---- The picture

WIDTH, HEIGHT, LEFT, GAP = 760, 150, 70, 60
COLOURS = ("#c0392b", "#e08e0b", "#1f77b4")


def panel(top, title, series, most, ticks):
    """The SVG of one diagram. series: of values per second. most: of the axis."""
    right = LEFT + WIDTH
    yield f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{title}</text>'
    for value in ticks:
        y = top + HEIGHT * (1 - value / most)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
    for second in range(0, SHOWN_S + 1, 30):
        x = LEFT + WIDTH * second / SHOWN_S
        yield f'<text x="{x:.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">{second} s</text>'
    for values, colour in zip(series, COLOURS, strict=True):
        points = " ".join(
            f"{LEFT + WIDTH * (i + 0.5) / SHOWN_S:.1f},{top + HEIGHT * (1 - v / most):.1f}"
            for i, v in enumerate(values)
        )
        yield (f'<polyline points="{points}" fill="none" stroke="{colour}" '
               'stroke-width="1.5"/>')


def picture(devices, names, results):
    """The SVG, str."""
    most = max(max(attempts) for attempts, *_ in results)
    most = -(-most // 5000) * 5000
    tops = (80, 80 + HEIGHT + GAP)
    width, height = LEFT + WIDTH + 30, tops[1] + HEIGHT + 35 + 18 * len(names)
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">')
    yield f'<rect width="{width}" height="{height}" fill="#fff"/>'
    yield (f'<text x="{LEFT}" y="24" font-size="15">{devices:,} devices lose their server: down '
           f"for {DOWN_S} s, then {RATE} connections per second</text>".replace(",", " "))
    yield from panel(tops[0], "attempts to connect, per second", [r[0] for r in results], most,
                     range(0, most + 1, most // 5))
    yield from panel(tops[1], "devices that are back", [r[1] for r in results], devices,
                     range(0, devices + 1, devices // 5))
    for i, (name, (_, _, in_vain, last_at)) in enumerate(zip(names, results, strict=True)):
        y = tops[1] + HEIGHT + 40 + 18 * i
        end = f"all back after {last_at:.0f} s" if last_at else f"not all back in {SHOWN_S} s"
        yield f'<path d="M{LEFT} {y - 4}h24" stroke="{COLOURS[i]}" stroke-width="3"/>'
        yield f'<text x="{LEFT + 32}" y="{y}">{name}: {end}, {in_vain} handshakes in vain</text>'
    yield "</svg>"


def run(devices, seed):
    """Returns (names, results of simulate()), for each way."""
    policy = load_policy()
    names = ["every 500 ms", "every 10 s", "backoff with jitter, 1 s to 60 s (reconnect.Policy)"]
    results = []
    for fixed_s in (0.5, 10, None):
        chance = random.Random(seed)
        if fixed_s:
            waits = [lambda s=fixed_s: s] * devices
        else:
            made = [policy(random=chance.randrange) for _ in range(devices)]
            waits = [lambda p=p: p.wait_ms("os") / 1000 for p in made]
        results.append(simulate(waits, chance, devices))
    return names, results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--devices", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reconnect.svg")
    args = parser.parse_args()
    names, results = run(args.devices, args.seed)
    args.out.write_text("\n".join(picture(args.devices, names, results)) + "\n")
    for name, (attempts, back, in_vain, last_at) in zip(names, results, strict=True):
        print(f"{name}: {max(attempts)} attempts in the worst second, {sum(attempts)} in all, "
              f"{in_vain} handshakes in vain, {back[59]} back after 60 s, "
              + (f"all after {last_at:.0f} s" if last_at else f"{back[-1]} in {SHOWN_S} s"))


if __name__ == "__main__":
    main()
