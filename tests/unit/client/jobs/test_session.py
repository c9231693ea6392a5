"""The signal handler of a job."""

import asyncio
import signal

import pytest
from undertone_client.jobs import Terminated
from undertone_client.jobs.session import SignalHandler

SIGNALS = pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)], ids=["SIGINT", "SIGTERM"]
)


@SIGNALS
def test_a_signal_raises_in_blocking_code(number: signal.Signals, raised: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with pytest.raises(raised), SignalHandler().installed():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


@SIGNALS
def test_a_signal_cancels_a_coroutine_which_ends_first(number: signal.Signals, raised: type[BaseException]) -> None:
    steps = []

    async def work() -> None:
        try:
            asyncio.get_running_loop().call_soon(signal.raise_signal, number)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append("saved")

    handler = SignalHandler()
    with pytest.raises(raised), handler.installed():
        handler.run(work())
    assert steps == ["saved"]


@SIGNALS
def test_a_second_signal_does_not_wait_for_the_coroutine(number: signal.Signals, raised: type[BaseException]) -> None:
    async def work() -> None:
        try:
            asyncio.get_running_loop().call_soon(signal.raise_signal, number)
            await asyncio.sleep(60)
        finally:
            asyncio.get_running_loop().call_soon(signal.raise_signal, number)
            await asyncio.sleep(60)

    handler = SignalHandler()
    with pytest.raises(raised), handler.installed():
        handler.run(work())


def test_without_a_signal_the_result_is_returned_and_a_cancellation_stays_one() -> None:
    async def work() -> int:
        return 1

    async def cancelled() -> None:
        raise asyncio.CancelledError

    handler = SignalHandler()
    with handler.installed():
        assert handler.run(work()) == 1
        with pytest.raises(asyncio.CancelledError):
            handler.run(cancelled())
