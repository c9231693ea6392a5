"""One model's versions: loaded, leased to calls, retired, as the folders on disk say."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from undertone_dev_server import folders
from undertone_dev_server.errors import LoadError, ServableNotFoundError
from undertone_dev_server.model_config import ModelConfig
from undertone_dev_server.servable import Loader, Servable

log = logging.getLogger(__name__)


class State(IntEnum):
    """A version's place in its life; the numbers are those of TF Serving's ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What GetModelStatus says of a version. `error` is set where it ended because it could not be loaded."""

    version: int
    state: State
    error: LoadError | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A version that stays loaded while a call holds it."""

    version: int
    servable: Servable


@dataclass(slots=True)
class _Entry:
    state: State = State.START
    servable: Servable | None = None
    leases: int = 0
    error: LoadError | None = None
    fingerprint: folders.Fingerprint = frozenset()


class Model:
    """Serves the versions that the policy picks from the base path.

    `reconcile` is for one thread that looks again and again; everything else may be called from any thread. As TF Serving's
    availability-preserving policy has it, a version is retired only when a chosen one is available or none is left on disk. A
    retired version gets no new calls and is closed when its last call has ended.
    """

    def __init__(self, config: ModelConfig, load: Loader) -> None:
        self.config = config
        self._load = load
        self._lock = threading.Lock()
        self._entries: dict[int, _Entry] = {}
        self._notice = ""

    @property
    def available(self) -> bool:
        """Whether any version can be called."""
        return any(status.state is State.AVAILABLE for status in self.statuses())

    def statuses(self) -> list[VersionStatus]:
        """Every version seen since the start, newest first."""
        with self._lock:
            entries = sorted(self._entries.items(), reverse=True)
            return [VersionStatus(version, entry.state, entry.error) for version, entry in entries]

    @contextlib.contextmanager
    def lease(self, version: int | None) -> Iterator[Lease]:
        """Holds a version, or the newest that is available, for the length of a call. Raises ServableNotFoundError."""
        with self._lock:
            ready = {number: entry for number, entry in self._entries.items() if entry.state is State.AVAILABLE}
            number = max(ready, default=None) if version is None else version
            if number is None or number not in ready:
                asked = f"Latest({self.config.name})" if version is None else f"Specific({self.config.name}, {version})"
                raise ServableNotFoundError(f"Servable not found for request: {asked}")
            entry = ready[number]
            servable = entry.servable
            assert servable is not None, "an available version is loaded"  # noqa: S101
            entry.leases += 1
        try:
            yield Lease(number, servable)
        finally:
            with self._lock:
                entry.leases -= 1
                last = entry.state is State.UNLOADING and entry.leases == 0
            if last:
                self._close(number, entry)

    def reconcile(self) -> None:
        """Looks at the base path once: loads what the policy newly picks, then retires what it no longer picks."""
        try:
            found = folders.scan(self.config.base_path)
        except LoadError as error:
            self._say(f"{error}; waiting for it")
            return  # perhaps a mount that comes back: what is loaded stays
        chosen = self.config.policy.choose(found)
        if chosen:
            self._say("")
        else:
            self._say(f"no version to serve under {self.config.base_path}: waiting for a folder such as 1/{folders.GRAPH_FILE}")
        for version in sorted(chosen):
            self._bring_up(version, folder=found[version])
        with self._lock:
            available = {version for version, entry in self._entries.items() if entry.state is State.AVAILABLE}
        if not chosen or available & chosen:
            for version in sorted(available - chosen):
                self._retire(version)

    def close(self) -> None:
        """Closes every version, whether calls still run or not; those end with an error."""
        with self._lock:
            open_entries = [(version, entry) for version, entry in self._entries.items() if entry.servable is not None]
        for version, entry in open_entries:
            self._close(version, entry)

    def _bring_up(self, version: int, *, folder: Path) -> None:
        entry = self._entries.get(version)
        if entry is not None and entry.state in (State.AVAILABLE, State.UNLOADING):
            return
        fingerprint = folders.fingerprint(folder)
        if entry is not None and entry.error is not None and entry.fingerprint == fingerprint:
            return  # the same files would fail the same way
        entry = _Entry(State.LOADING, fingerprint=fingerprint)
        with self._lock:
            self._entries[version] = entry
        log.info("model %s: loading version %d from %s", self.config.name, version, folder)
        began = time.monotonic()
        try:
            servable = self._load(folder)
        except LoadError as error:
            log.error("model %s: version %d is not served: %s", self.config.name, version, error)
            with self._lock:
                entry.state, entry.error = State.END, error
            return
        with self._lock:
            entry.servable, entry.state = servable, State.AVAILABLE
        log.info("model %s: version %d is available after %.1f s", self.config.name, version, time.monotonic() - began)

    def _retire(self, version: int) -> None:
        with self._lock:
            entry = self._entries[version]
            entry.state = State.UNLOADING
            idle = entry.leases == 0
        if idle:
            self._close(version, entry)

    def _close(self, version: int, entry: _Entry) -> None:
        with self._lock:
            servable, entry.servable = entry.servable, None
        if servable is None:
            return
        servable.close()
        with self._lock:
            entry.state = State.END
        log.info("model %s: version %d is unloaded", self.config.name, version)

    def _say(self, notice: str) -> None:
        """Logs a notice when it changes, not at every look."""
        if notice and notice != self._notice:
            log.warning("model %s: %s", self.config.name, notice)
        self._notice = notice
