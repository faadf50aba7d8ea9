"""The simulation of tools/herd.py, with fewer devices."""

import xml.etree.ElementTree as ElementTree

import herd

DEVICES = 1000


def test_same_seed_gives_the_same_picture():
    pictures = ["\n".join(herd.picture(DEVICES, *herd.run(DEVICES, 7))) for _ in range(2)]
    assert pictures[0] == pictures[1]
    ElementTree.fromstring(pictures[0])


def test_devices_come_back_with_fewer_attempts_per_second_than_at_a_fixed_time():
    _, (fast, slow, ours) = herd.run(DEVICES, 1)
    attempts, back, _, last_at = ours
    assert back[-1] == DEVICES and last_at
    # Once the server is up again.
    assert max(attempts[herd.DOWN_S:]) < min(max(r[0][herd.DOWN_S:]) for r in (fast, slow))
