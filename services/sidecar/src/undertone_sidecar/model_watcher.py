"""Watches the model server, and decides which model version is served."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from undertone_sidecar.activity import Activity
from undertone_sidecar.backend import Backend, Catalog
from undertone_sidecar.contract import CONTRACT_FILE
from undertone_sidecar.cpu import InstructionSet
from undertone_sidecar.errors import (
    ConfigurationError,
    DeadlineError,
    ModelServerError,
    ModelServerLostError,
    OverloadedError,
    SidecarError,
    UnavailableError,
    VersionGoneError,
)
from undertone_sidecar.events import Listener, MismatchChanged, ReadinessChanged, ServedModel, ignore
from undertone_sidecar.failed_versions import FailedVersions
from undertone_sidecar.health import Health
from undertone_sidecar.memory import MemorySettings
from undertone_sidecar.model import Model, read_model, warm_up

_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")

_MAX_BUSY_CHECKS: Final = 3
"""Consecutive checks that a busy model server may leave unanswered while no call completes."""

log = logging.getLogger(__name__)


class ModelWatcher:
    """Checks the model server periodically. Implements Models for the pipeline.

    Serves the newest version that is ready in the model server, has a complete folder, and answers.
    Before it serves a version, it checks the contract against the model server, and warms up some
    of the padded lengths. It warms up the other lengths later, while it serves: the graph is then
    optimized, and the first call of a length takes only milliseconds more. While a version cannot
    be loaded, the previous version is served as long as the model server has it. Each reason for
    not serving is logged once.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        catalog: Catalog,
        backend: Backend,
        health: Health,
        executor: Executor,
        *,
        overlap: int,
        memory: MemorySettings,
        call_seconds: float,
        poll_seconds: float,
        instruction_set: InstructionSet,
        activity: Activity | None = None,
        listener: Listener = ignore,
    ) -> None:
        """Creates a watcher without a model.

        Args:
            folder: Contains the folders of the versions.
            name: Name of the model.
            catalog: Versions of the model server.
            backend: The model server, for the warm-up.
            health: Becomes ready with the first version.
            executor: Thread pool for files and tokenizers.
            overlap: Tokens that neighbouring chunks share.
            memory: Memory of the model server. A model that needs more is refused.
            call_seconds: Maximum duration of a call. A warm-up that takes longer is logged.
            poll_seconds: Time between checks.
            instruction_set: Instruction set of the CPU. Logged with the precision of the model.
            activity: Predict calls. While calls complete, the model server is alive, however slowly
                it responds to checks. While a call is overdue, it is stuck.
            listener: Receives events.
        """
        self._folder = folder
        self._name = name
        self._catalog = catalog
        self._backend = backend
        self._health = health
        self._executor = executor
        self._overlap = overlap
        self._memory = memory
        self._call_seconds = call_seconds
        self._poll_seconds = poll_seconds
        self._instruction_set = instruction_set
        self._listener = listener
        self._model: Model | None = None
        self._available = False
        self._has_served = False
        self._logged_reasons: set[str] = set()
        self._failed = FailedVersions(poll_seconds, time.monotonic)
        self._mismatch = False
        self._busy_checks = 0
        self._activity = activity or Activity()
        self._completed = 0
        self._wake = asyncio.Event()
        self._next_check: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._warm_up_task: asyncio.Task[None] | None = None

    def current(self) -> Model:
        if self._model is None or not self._available:
            raise UnavailableError("no model is available at the moment: retry later")
        return self._model

    def report_failure(self) -> None:
        self._wake.set()

    async def refresh(self) -> Model:
        # Waits for a check that starts after this call. A running check does not count.
        self._wake.set()
        await asyncio.shield(self._next_check)
        return self.current()

    async def run(self) -> None:
        """Runs until cancelled. Raises ConfigurationError if the first model cannot be served."""
        try:
            await self._watch()
        finally:
            if self._warm_up_task:
                self._warm_up_task.cancel()
                await asyncio.gather(self._warm_up_task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._wake.clear()
            done, self._next_check = self._next_check, asyncio.get_running_loop().create_future()
            try:
                await self._check()
            except ConfigurationError as error:
                if not self._has_served:
                    raise
                self._withdraw(str(error))
            except (DeadlineError, OverloadedError) as error:
                # A model server that computes on all cores responds late, but is still available.
                completed, self._completed = self._completed, self._activity.completed
                self._busy_checks = self._busy_checks + 1 if completed == self._completed else 0
                if self._busy_checks > _MAX_BUSY_CHECKS or not self._available:
                    self._withdraw(str(error))
            except SidecarError as error:
                self._withdraw(str(error))
            finally:
                if not done.done():
                    done.set_result(None)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._poll_seconds)

    async def _check(self) -> None:
        if self._activity.overdue:
            raise UnavailableError("the model server is stuck: a call exceeds --predict-timeout-seconds")
        versions = await self._catalog.versions()
        self._busy_checks = 0
        served = self._model.version if self._available and self._model and self._model.version in versions else None
        candidates = await self._in_thread(partial(self._complete_versions, served=served), versions)
        self._failed.keep(versions)
        first_error: SidecarError | None = None
        for version in candidates:
            if version == served:
                break
            if served is not None and (error := self._failed.postponed(version)):
                first_error = first_error or error
                continue
            try:
                model = await self._load(version)
            except VersionGoneError:
                continue
            except ModelServerLostError:
                raise
            except SidecarError as error:
                if served is None and isinstance(error, DeadlineError | OverloadedError):
                    raise
                first_error = first_error or error
                if self._failed.add(version, error):
                    self._log_failure(version, served, error, last=version == candidates[-1])
            else:
                self._serve(model)
                break
        else:
            self._set_mismatch(mismatch=first_error is not None)
            raise first_error or UnavailableError(
                f"no version of the model {self._name} is ready in the model server and present in {self._folder} "
                f"(ready: {list(versions)}, also present: {candidates})"
            )
        self._set_mismatch(mismatch=first_error is not None)

    def _log_failure(self, version: int, served: int | None, error: SidecarError, *, last: bool) -> None:
        if served is not None:
            log.error("version %d cannot be served, version %d remains: %s", version, served, error)
        elif self._has_served or not last:  # else the caller logs or raises it
            log.error("version %d cannot be served: %s", version, error)

    def _set_mismatch(self, *, mismatch: bool) -> None:
        if mismatch is not self._mismatch:
            self._mismatch = mismatch
            self._listener(MismatchChanged(mismatch))

    def _complete_versions(self, versions: Iterable[int], *, served: int | None) -> list[int]:
        """The versions with a complete folder. The served version is not checked again.

        A folder with a contract is complete, because the exporter writes the contract last.
        """
        return [version for version in versions if version == served or (self._folder / str(version) / CONTRACT_FILE).is_file()]

    async def _load(self, version: int) -> Model:
        """Reads, checks and warms up a version."""
        started = time.monotonic()
        folder = self._folder / str(version)
        read = partial(read_model, name=self._name, overlap=self._overlap, executor=self._executor)
        model = await self._in_thread(read, folder)
        self._memory.check(model.contract)
        model.contract.check_signature(await self._catalog.signature(version))
        # If the served version was unloaded, calls wait for this one. A slow first response is
        # better than none.
        try:
            seconds = await warm_up(
                self._backend,
                model,
                model.lengths.warm_before_ready,
                should_stop=lambda: self._available and self._wake.is_set(),
            )
        except ModelServerError as error:
            raise ModelServerError(
                f"version {version} is ready in the model server but cannot score ({error}): if it was loaded before "
                f"its copy was complete, move the directory {folder} away and back (mv), so that it is loaded again"
            ) from None
        extra = {"version": version, "calls": len(seconds), "seconds": round(time.monotonic() - started, 3)}
        log.info("warmed up", extra=extra)
        if len(seconds) == len(model.lengths.warm_before_ready) and seconds[-1] > self._call_seconds:
            log.warning(
                "a call with %d tokens, the maximum of the model, took %.3g s, but calls longer than %g s fail: set a larger "
                "--predict-timeout-seconds, or export the model with a smaller --max-tokens",
                model.lengths.values[-1],
                seconds[-1],
                self._call_seconds,
            )
        return model

    def _serve(self, model: Model) -> None:
        precision = model.contract.precision
        if not self._has_served:
            log.info("instruction set", extra={"instruction_set": self._instruction_set.label, "precision": precision})
            if precision == "bf16" and not self._instruction_set.has_bf16:
                log.warning(
                    "this CPU has %s without AMX or AVX512-BF16: bf16 is emulated and slower than fp32; "
                    "export the model with --precision fp32",
                    self._instruction_set.label,
                )
        self._model, self._available, self._has_served = model, True, True
        self._logged_reasons.clear()
        self._listener(ReadinessChanged(ServedModel(model.contract.name, model.version, precision)))
        self._health.set_ready(ready=True)
        log.info("ready", extra={"model": model.contract.name, "version": model.version, "precision": precision})
        if self._warm_up_task:
            self._warm_up_task.cancel()
        self._warm_up_task = asyncio.create_task(self._warm_up_later(model), name="warm-up")

    async def _warm_up_later(self, model: Model) -> None:
        # The next call or the next check gets the same error and handles it.
        with suppress(SidecarError):
            await warm_up(self._backend, model, model.lengths.warm_later)

    def _withdraw(self, reason: str) -> None:
        if self._available:
            self._available = False
            self._listener(ReadinessChanged(None))
            self._health.set_ready(ready=False)
        self._log_once(reason, logging.WARNING)

    def _log_once(self, reason: str, level: int) -> None:
        if reason not in self._logged_reasons:
            self._logged_reasons.add(reason)
            log.log(level, "not serving: %s", reason)

    async def _in_thread(self, function: Callable[[_Argument], _Result], argument: _Argument) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, argument)
