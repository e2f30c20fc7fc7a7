"""Delays between attempts."""

from bemi_orm.worker.retry import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, Backoff


def test_delays_double_up_to_a_limit_and_start_again_after_success():
    backoff = Backoff()
    delays = [backoff.next_delay_seconds() for _ in range(40)]
    assert FIRST_DELAY_SECONDS * 0.75 <= delays[0] <= FIRST_DELAY_SECONDS
    assert delays[3] > 2 * delays[0]
    assert all(LONGEST_DELAY_SECONDS * 0.75 <= delay <= LONGEST_DELAY_SECONDS for delay in delays[10:])
    backoff.reset()
    assert backoff.next_delay_seconds() <= FIRST_DELAY_SECONDS
