"""The event loop that the synchronous clients of a process share, in a thread of its own."""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

T = TypeVar("T")

EXIT_SECONDS: Final = 2.0
"""Longest wait at the exit of the interpreter, for calls in flight to end."""

_FORKED = (
    "this process was forked after its parent had used a synchronous client, and gRPC does not work in it:"
    " start processes with multiprocessing.get_context('spawn'), or use the first client after the fork"
)
_ENDED = "the interpreter exits: the client does not send calls any more, and has cancelled those in flight"
_OWN_THREAD = "a listener, interceptor or call_context must not call the synchronous client: it would wait for itself"


class _RunningLoop:
    """An event loop that runs in a daemon thread until it is stopped."""

    def __init__(self) -> None:
        """Raises RuntimeError without a free thread, or OSError if too many files are open."""
        # In the caller's thread, so that the next call tries again after an error.
        self.loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        # A daemon, because the interpreter joins other threads before it calls `_exit`.
        self.thread = threading.Thread(target=self._serve, name="undertone-client", daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            self.loop.close()
            raise

    def stop(self) -> None:
        """Ask the loop to cancel all calls and to end. Does not wait."""
        self.loop.call_soon_threadsafe(self._stopped.set)

    def _serve(self) -> None:
        # Not asyncio.run, which nest_asyncio replaces in notebooks. At its end, the runner cancels
        # all calls and waits for them.
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._wait_for_stop())

    async def _wait_for_stop(self) -> None:
        await self._stopped.wait()


class LoopThread:
    """An event loop in a daemon thread, which starts with the first call.

    The loop ends when the interpreter exits. It does not survive a fork. A signal handler may call
    it at any time, also while the same thread starts the loop.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._running: list[_RunningLoop] = []  # the first one is the loop
        self._error = ""  # why the loop is not usable any more

    @property
    def is_running(self) -> bool:
        """Whether the loop has started and is usable."""
        return bool(self._running) and not self._error

    def submit(self, function: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Run a coroutine on the loop, with the context variables of this thread.

        The cancellation of the future cancels the coroutine.

        Raises:
            RuntimeError: the process was forked, the interpreter exits, no thread can be started,
                or this is the thread of the loop.
            OSError: too many files are open.
        """
        running = self._start()
        if threading.current_thread() is running.thread:
            raise RuntimeError(_OWN_THREAD)
        return asyncio.run_coroutine_threadsafe(function(), running.loop)

    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the loop and wait for its result.

        Raises:
            RuntimeError: see `submit` and `result`.
        """
        return self.result(self.submit(function))

    def result(self, future: Future[T]) -> T:
        """Wait for a coroutine. An exception in this thread, such as KeyboardInterrupt, cancels it.

        Raises:
            RuntimeError: the interpreter exits.
        """
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError(self._error or "the call was cancelled") from None
        finally:
            future.cancel()
            del future  # an exception of the future refers to this frame

    def _start(self) -> _RunningLoop:
        if self._error:
            raise RuntimeError(self._error)
        with self._lock:
            if not self._running:
                started = _RunningLoop()
                # A signal handler may have called this method in the meantime. `append` is atomic,
                # so that both agree on the loop that was first.
                self._running.append(started)
                if started is not self._running[0]:
                    started.stop()
                else:
                    if hasattr(os, "register_at_fork"):  # Windows has no fork
                        os.register_at_fork(after_in_child=self._disable_after_fork)
                    atexit.register(self._exit)
            return self._running[0]

    def _exit(self) -> None:
        if self.is_running:
            self._error = _ENDED
            self._running[0].stop()
            self._running[0].thread.join(EXIT_SECONDS)

    def _disable_after_fork(self) -> None:
        self._error = _FORKED
        self._lock = threading.RLock()  # another thread of the parent may have held it


LOOP_THREAD: Final = LoopThread()
"""The loop of this process. One for all clients, because gRPC wakes all loops for each reply."""
