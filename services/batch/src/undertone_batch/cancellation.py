"""Signals that end a run: by way of Spark, as who waits for Java cannot be interrupted and then ask it for anything more."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from undertone_client.jobs import Terminated


@contextmanager
def cancelled_by_signals(cancel: Callable[[], None]) -> Iterator[None]:
    """Has SIGINT and SIGTERM call `cancel`, in a thread; what is inside is expected to end with an exception then.

    Raises:
        KeyboardInterrupt, Terminated: in that exception's place.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        threading.Thread(target=cancel, name="cancel", daemon=True).start()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Exception:
        if not received:
            raise
        raise (KeyboardInterrupt() if received[0] == signal.SIGINT else Terminated()) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
