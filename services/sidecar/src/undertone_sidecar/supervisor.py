"""Watches the model server, and decides which version is served, if any."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from undertone_sidecar.backend import Backend, Catalog
from undertone_sidecar.contract import CONTRACT_FILE
from undertone_sidecar.cpu import InstructionSet
from undertone_sidecar.errors import (
    ConfigurationError,
    DeadlineError,
    OverloadedError,
    SidecarError,
    UnavailableError,
    VersionGoneError,
)
from undertone_sidecar.events import Listener, MismatchChanged, ReadinessChanged, ServedModel, ignore
from undertone_sidecar.model import Model, read_model
from undertone_sidecar.readiness import Readiness
from undertone_sidecar.warmup import warm_up

_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")

_PATIENCE: Final = 3
"""Looks in a row that a busy model server may leave unanswered."""

log = logging.getLogger(__name__)


class Supervisor:
    """Looks at the model server again and again; see Models for what requests ask of it.

    Serves the newest version that the model server has and whose folder is complete, once its contract agrees with the model
    server and the landmarks among the lengths are warmed up; the other lengths follow while it serves, since the graph is
    optimized by then and a new length costs milliseconds. Says every reason for not serving once, not at every look.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        catalog: Catalog,
        backend: Backend,
        readiness: Readiness,
        executor: Executor,
        *,
        overlap: int,
        budget: int,
        poll_seconds: float,
        instruction_set: InstructionSet,
        listener: Listener = ignore,
    ) -> None:
        """`folder` holds the versions' folders of the model `name`. `overlap` and `budget` are in tokens. `instruction_set` is
        the machine's, told once with the precision of the model."""
        self._folder = folder
        self._name = name
        self._catalog = catalog
        self._backend = backend
        self._readiness = readiness
        self._executor = executor
        self._overlap = overlap
        self._budget = budget
        self._poll_seconds = poll_seconds
        self._instruction_set = instruction_set
        self._listener = listener
        self._model: Model | None = None
        self._available = False
        self._served_once = False
        self._said: set[str] = set()
        self._mismatch = False
        self._busy_looks = 0
        self._wake = asyncio.Event()
        self._look: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._warming: asyncio.Task[None] | None = None

    def current(self) -> Model:
        if self._model is None or not self._available:
            raise UnavailableError("no model is served at the moment: come back later")
        return self._model

    def suspect(self) -> None:
        self._wake.set()

    async def renewed(self) -> Model:
        # Set before the next look begins, so that the look that may be under way now does not count.
        self._wake.set()
        await asyncio.shield(self._look)
        return self.current()

    async def run(self) -> None:
        """Until cancelled. Raises ConfigurationError if the first model found cannot be served: the operator should know."""
        try:
            await self._watch()
        finally:
            if self._warming:
                self._warming.cancel()
                await asyncio.gather(self._warming, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._wake.clear()
            look, self._look = self._look, asyncio.get_running_loop().create_future()
            try:
                await self._look_once()
            except ConfigurationError as error:
                if not self._served_once:
                    raise
                await self._withdraw(str(error))
            except (DeadlineError, OverloadedError) as error:
                # Busy is not gone: a model server that computes on all cores answers late.
                self._busy_looks += 1
                if self._busy_looks > _PATIENCE or not self._available:
                    await self._withdraw(str(error))
            except SidecarError as error:
                await self._withdraw(str(error))
            finally:
                if not look.done():
                    look.set_result(None)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._poll_seconds)

    async def _look_once(self) -> None:
        versions = await self._catalog.versions()
        self._busy_looks = 0
        candidates = await self._in_thread(self._complete, versions)
        refusal: ConfigurationError | None = None
        for version in candidates:
            if self._available and self._model and self._model.version == version:
                break
            try:
                model = await self._examined(version)
            except ConfigurationError as error:
                refusal = refusal or error
                if self._served_once or version != candidates[-1]:
                    self._say(str(error), logging.ERROR)
            except VersionGoneError:
                continue
            else:
                await self._serve(model)
                break
        else:
            self._tell_mismatch(mismatch=refusal is not None)
            raise refusal or UnavailableError(
                f"the model server has no version of the model {self._name} ready that is also in {self._folder} "
                f"(ready: {list(versions)}, of which here: {candidates})"
            )
        self._tell_mismatch(mismatch=refusal is not None)

    def _tell_mismatch(self, *, mismatch: bool) -> None:
        if mismatch is not self._mismatch:
            self._mismatch = mismatch
            self._listener(MismatchChanged(mismatch))

    def _complete(self, versions: Iterable[int]) -> list[int]:
        """The served version, of which nothing more is read, and those whose folder is here; its contract is written last."""
        served = self._model.version if self._model and self._available else None
        return [version for version in versions if version == served or (self._folder / str(version) / CONTRACT_FILE).is_file()]

    async def _examined(self, version: int) -> Model:
        """The model of a version, after every check and the warm-up."""
        started = time.monotonic()
        folder = self._folder / str(version)
        read = partial(read_model, name=self._name, overlap=self._overlap, budget=self._budget, executor=self._executor)
        model = await self._in_thread(read, folder)
        model.contract.check_signature(await self._catalog.signature(version))
        # Requests may already wait for this version, because the one before is gone: a slow first answer is better than none.
        calls = await warm_up(
            self._backend, model, model.lengths.landmarks, hurried=lambda: self._available and self._wake.is_set()
        )
        log.info("warmed up", extra={"version": version, "calls": calls, "seconds": round(time.monotonic() - started, 3)})
        return model

    async def _serve(self, model: Model) -> None:
        precision = model.contract.precision
        if not self._served_once:
            log.info("computes", extra={"instruction_set": self._instruction_set.label, "precision": precision})
            if precision == "bf16" and not self._instruction_set.has_bf16:
                log.warning(
                    "bf16 is computed in software, slower than fp32, as this CPU has %s and neither AMX nor AVX512-BF16; "
                    "export the model with --precision fp32",
                    self._instruction_set.label,
                )
        self._model, self._available, self._served_once = model, True, True
        self._said.clear()
        self._listener(ReadinessChanged(ServedModel(model.contract.name, model.version, precision)))
        await self._readiness.set(ready=True)
        log.info("ready", extra={"model": model.contract.name, "version": model.version, "precision": precision})
        if self._warming:
            self._warming.cancel()
        self._warming = asyncio.create_task(self._warm_up_others(model), name="warm-up")

    async def _warm_up_others(self, model: Model) -> None:
        # Whatever is wrong meets a caller's call or the next look, too, which know what to do.
        with suppress(SidecarError):
            await warm_up(self._backend, model, model.lengths.others)

    async def _withdraw(self, reason: str) -> None:
        if self._available:
            self._available = False
            self._listener(ReadinessChanged(None))
            await self._readiness.set(ready=False)
        self._say(reason, logging.WARNING)

    def _say(self, reason: str, level: int) -> None:
        if reason not in self._said:
            self._said.add(reason)
            log.log(level, "not serving: %s", reason)

    async def _in_thread(self, function: Callable[[_Argument], _Result], argument: _Argument) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, argument)
