"""A signal cancels the run, and what that ends with is told as the signal's doing."""

import os
import signal
import threading

import pytest
from undertone_batch.cancellation import cancelled_by_signals
from undertone_batch.errors import JobError
from undertone_client.jobs import Terminated


@pytest.mark.parametrize(("number", "told"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_cancels(number: signal.Signals, told: type[BaseException]) -> None:
    cancelled, before = threading.Event(), signal.getsignal(number)

    def run() -> None:
        os.kill(os.getpid(), number)
        assert cancelled.wait(60)
        raise JobError("the run was cancelled")

    with pytest.raises(told), cancelled_by_signals(cancelled.set):
        run()
    assert signal.getsignal(number) is before


def test_other_failures_are_their_own() -> None:
    with pytest.raises(JobError, match="a failure"), cancelled_by_signals(lambda: None):
        raise JobError("a failure")


def test_a_signal_that_comes_too_late_changes_nothing() -> None:
    cancelled = threading.Event()
    with cancelled_by_signals(cancelled.set):
        os.kill(os.getpid(), signal.SIGTERM)
        assert cancelled.wait(60)
