"""`modwebsocket.reconnect`: when to try again."""

from helpers import raises

from modwebsocket.reconnect import Policy, is_worth_another_try


def most(n):
    """The longest wait that may be: the last of random(n)'s numbers."""
    return n - 1


def test_wait_doubles_up_to_its_limit():
    policy = Policy(first_ms=500, max_ms=6000, random=most)
    waits = [policy.wait_ms("os") for _ in range(6)]
    assert waits == [500, 1000, 2000, 4000, 6000, 6000], waits


def test_wait_may_be_any_time_up_to_that():
    asked = []

    def random(n):
        asked.append(n)
        return len(asked)

    policy = Policy(first_ms=500, max_ms=6000, random=random)
    assert [policy.wait_ms("eof") for _ in range(3)] == [1, 2, 3]
    assert asked == [501, 1001, 2001]


def test_system_random_stays_within():
    policy = Policy(first_ms=3, max_ms=3)
    waits = {policy.wait_ms("eof") for _ in range(200)}
    assert waits == {0, 1, 2, 3}, waits


def test_many_attempts_overflow_nothing():
    policy = Policy(first_ms=1000, max_ms=60000, random=most)
    for _ in range(100):
        last = policy.wait_ms("os")
    assert last == 60000 and policy.attempts == 100


def test_stable_connection_starts_anew():
    policy = Policy(first_ms=500, stable_ms=30000, random=most)
    for _ in range(3):
        policy.wait_ms("os")
    assert policy.wait_ms("eof", open_ms=29999) == 4000
    assert policy.wait_ms("eof", open_ms=30000) == 500
    assert policy.attempts == 1


def test_attempts_are_bounded_if_asked_for():
    policy = Policy(first_ms=500, max_attempts=2, random=most)
    assert [policy.wait_ms("dns") for _ in range(3)] == [500, 1000, None]
    assert policy.wait_ms("dns", open_ms=30000) == 500


def test_overloaded_server_gets_the_longest_wait():
    for code, status in ((1013, 0), (1006, 503), (1006, 429)):
        policy = Policy(first_ms=500, max_ms=6000, random=most)
        assert policy.wait_ms("peer" if code == 1013 else "http", code, status) == 6000


def test_codes_and_causes_worth_another_try():
    for code in (1001, 1005, 1011, 1012, 1013, 1014, 4000, 4999):
        assert is_worth_another_try("peer", code, 101), code
    for code in (1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000):
        assert not is_worth_another_try("peer", code, 101), code
    for cause in ("dns", "tls", "record", "deadline", "eof", "os", "health", "memory"):
        assert is_worth_another_try(cause, 1006, 0), cause
    for cause in ("closed", "handshake", "protocol", "text", "too big", "reassembly", "error"):
        assert not is_worth_another_try(cause, 1006, 0), cause
    for status in (200, 302, 408, 425, 429, 500, 502, 503):
        assert is_worth_another_try("http", 1006, status), status
    for status in (400, 401, 403, 404, 426):
        assert not is_worth_another_try("http", 1006, status), status


def test_choice_is_the_users():
    policy = Policy(first_ms=500, worth=lambda cause, code, status: code == 4001, random=most)
    assert policy.wait_ms("peer", 4001) == 500
    assert policy.wait_ms("os") is None


def test_impossible_times_are_refused():
    for first_ms, max_ms in ((0, 1000), (2000, 1000)):
        raises(ValueError, Policy, first_ms, max_ms)
