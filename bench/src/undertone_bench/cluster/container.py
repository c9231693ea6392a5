"""A container: a process that is restarted when it ends, as the kubelet does."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_NOTICE_SECONDS: Final = 1.0
"""Time until the kubelet notices the end of a container and has started the next one."""

_FIRST_BACK_OFF_SECONDS: Final = 10.0
_MAX_BACK_OFF_SECONDS: Final = 300.0

Probe = Callable[[], Awaitable[bool]]


class Container:
    """Runs a command until `stop`, and probes it.

    A container that ends is restarted: the first time at once, then after 10, 20, 40 … 300 s.

    Attributes:
        ready: Whether the startup probe has succeeded and the readiness probe does.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        probes: Mapping[str, Any],
        check: Callable[[str], Awaitable[bool]],
        folder: Path | None = None,
    ) -> None:
        """Creates a container that is not started.

        Args:
            name: Name of the container.
            command: Program and arguments.
            log: File for its output.
            probes: The rendered container, of which the probes are read.
            check: Runs a probe, startupProbe or readinessProbe: whether it succeeds.
            folder: Working directory.
        """
        self.name = name
        self.ready = False
        self._command = command
        self._log = log
        self._probes = probes
        self._check = check
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._started = asyncio.Event()

    async def wait_started(self) -> None:
        """Waits until the startup probe has succeeded once."""
        await self._started.wait()

    async def wait_not_ready(self) -> None:
        """Waits until the container is not ready."""
        while self.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Runs the container until `stop`. If cancelled, kills the process."""
        back_off = 0.0
        try:
            while not self._stopping:
                await self._run_once()
                if self._stopping:
                    return
                await asyncio.sleep(_NOTICE_SECONDS + back_off)
                back_off = min(_MAX_BACK_OFF_SECONDS, 2 * back_off or _FIRST_BACK_OFF_SECONDS)
        finally:
            self.ready = False
            if self._process and self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    async def _run_once(self) -> None:
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdout=output, stderr=output, cwd=self._folder, start_new_session=True
            )
        probing = asyncio.create_task(self._probe())
        try:
            await self._process.wait()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            self.ready = False

    async def _probe(self) -> None:
        startup = self._probes["startupProbe"]
        while not await self._check_in_time("startupProbe", startup):  # noqa: ASYNC110
            await asyncio.sleep(startup["periodSeconds"])
        self._started.set()
        readiness = self._probes["readinessProbe"]
        failures = 0
        while True:
            succeeded = await self._check_in_time("readinessProbe", readiness)
            failures = 0 if succeeded else failures + 1
            if succeeded:
                self.ready = True
            elif failures >= readiness["failureThreshold"]:
                self.ready = False
            await asyncio.sleep(readiness["periodSeconds"])

    async def _check_in_time(self, name: str, probe: Mapping[str, Any]) -> bool:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._check(name), probe["timeoutSeconds"])
        return False

    async def stop(self, deadline: float) -> None:
        """Sends SIGTERM, and SIGKILL at the time `deadline` (time.monotonic)."""
        self._stopping = True
        self.send(signal.SIGTERM)
        if self._process:
            try:
                await asyncio.wait_for(self._process.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                self.send(signal.SIGKILL)
                await self._process.wait()

    def kill(self) -> None:
        """Kills the process, like a crash."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if the process runs."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)
