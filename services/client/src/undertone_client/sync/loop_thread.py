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


class LoopThread:
    """An event loop in a daemon thread, which starts with the first call.

    The loop ends when the interpreter exits. It does not survive a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._error = ""  # why the loop is not usable any more

    @property
    def is_running(self) -> bool:
        """Whether the loop has started and is usable."""
        return self._loop is not None and not self._error

    def submit(self, function: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Run a coroutine on the loop, with the context variables of this thread.

        The cancellation of the future cancels the coroutine.

        Raises:
            RuntimeError: the process was forked, the interpreter exits, no thread can be started,
                or this is the thread of the loop.
            OSError: too many files are open.
        """
        loop = self._start()
        if threading.current_thread() is self._thread:
            raise RuntimeError(_OWN_THREAD)
        return asyncio.run_coroutine_threadsafe(function(), loop)

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

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._error:
            raise RuntimeError(self._error)
        with self._lock:
            if self._loop is None:
                # In this thread, so that the next call tries again after an error, such as too many
                # open files or threads.
                loop = asyncio.new_event_loop()
                # A daemon, because the interpreter joins other threads before it calls `_exit`.
                thread = threading.Thread(target=self._serve, args=(loop,), name="undertone-client", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                self._thread, self._loop = thread, loop
                if hasattr(os, "register_at_fork"):  # Windows has no fork
                    os.register_at_fork(after_in_child=self._disable_after_fork)
                atexit.register(self._exit)
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not asyncio.run, which nest_asyncio replaces in notebooks. At its end, the runner cancels
        # all calls and waits for them.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._wait_for_exit())

    async def _wait_for_exit(self) -> None:
        await self._stopped.wait()

    def _exit(self) -> None:
        if self.is_running and self._loop is not None and self._thread is not None:
            self._error = _ENDED
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(EXIT_SECONDS)

    def _disable_after_fork(self) -> None:
        self._error = _FORKED
        self._lock = threading.Lock()  # another thread of the parent may have held it


LOOP_THREAD: Final = LoopThread()
"""The loop of this process. One for all clients, because gRPC wakes all loops for each reply."""
