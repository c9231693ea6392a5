"""Lifecycle of the model's versions: load, serve, unload."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from undertone_dev_server.errors import LoadError, ServableNotFoundError
from undertone_dev_server.folders import GRAPH_FILE, Fingerprint, find_versions, fingerprint
from undertone_dev_server.servable import Loader, Servable

log = logging.getLogger(__name__)


class State(IntEnum):
    """State of a version, with the numbers of TF Serving's ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """Status of a version in GetModelStatus. `error` is set if the version could not be loaded."""

    version: int
    state: State
    error: LoadError | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A version that stays loaded during a call."""

    version: int
    servable: Servable


@dataclass(slots=True)
class _Version:
    state: State = State.START
    servable: Servable | None = None
    leases: int = 0
    error: LoadError | None = None
    fingerprint: Fingerprint = frozenset()


class Model:
    """Serves the newest version in the folder `base_path`.

    One thread calls `reconcile` periodically; any thread may call the other methods. As in TF
    Serving's availability-preserving policy, a version is unloaded only when its successor is
    available or no version is left on disk. A version that is being unloaded accepts no new calls
    and is closed after its last call.
    """

    def __init__(self, name: str, base_path: Path, load: Loader) -> None:
        self.name = name
        self._base_path = base_path
        self._load = load
        self._lock = threading.Lock()
        self._versions: dict[int, _Version] = {}
        self._last_warning = ""

    @property
    def available(self) -> bool:
        """True if a version can be called."""
        return any(status.state is State.AVAILABLE for status in self.statuses())

    def statuses(self) -> list[VersionStatus]:
        """Status of every version since the start, newest first."""
        with self._lock:
            versions = sorted(self._versions.items(), reverse=True)
            return [VersionStatus(number, version.state, version.error) for number, version in versions]

    @contextlib.contextmanager
    def lease(self, number: int | None) -> Iterator[Lease]:
        """Keeps a version loaded during a call. None means the newest available version.

        Raises ServableNotFoundError if that version is not available.
        """
        with self._lock:
            available = {key: version for key, version in self._versions.items() if version.state is State.AVAILABLE}
            key = max(available, default=None) if number is None else number
            if key is None or key not in available:
                raise ServableNotFoundError.for_version(self.name, number)
            version = available[key]
            servable = version.servable
            assert servable is not None, "an available version is loaded"  # noqa: S101
            version.leases += 1
        try:
            yield Lease(key, servable)
        finally:
            with self._lock:
                version.leases -= 1
                last = version.state is State.UNLOADING and version.leases == 0
            if last:
                self._close(key, version)

    def reconcile(self) -> None:
        """Compares the base path with the loaded versions once: loads the newest, then unloads the
        others.
        """
        try:
            folders = find_versions(self._base_path)
        except LoadError as error:
            # The folder may be a mount that comes back, so loaded versions are kept.
            self._warn_once(f"{error}; waiting for it")
            return
        newest = max(folders, default=None)
        if newest is None:
            self._warn_once(f"no version in {self._base_path}; waiting for a folder such as 1/{GRAPH_FILE}")
        else:
            self._warn_once("")
            self._load_version(newest, folders[newest])
        with self._lock:
            available = {number for number, version in self._versions.items() if version.state is State.AVAILABLE}
        if newest is None or newest in available:
            for number in sorted(available - {newest}):
                self._unload(number)

    def close(self) -> None:
        """Closes every version. Running calls fail."""
        with self._lock:
            versions = [(number, version) for number, version in self._versions.items() if version.servable is not None]
        for number, version in versions:
            self._close(number, version)

    def _load_version(self, number: int, folder: Path) -> None:
        version = self._versions.get(number)
        if version is not None and version.state in (State.AVAILABLE, State.UNLOADING):
            return
        files = fingerprint(folder)
        if version is not None and version.error is not None and version.fingerprint == files:
            return  # the files that failed have not changed
        version = _Version(State.LOADING, fingerprint=files)
        with self._lock:
            self._versions[number] = version
        log.info("model %s: loading version %d from %s", self.name, number, folder)
        start = time.monotonic()
        try:
            servable = self._load(folder)
        except LoadError as error:
            log.error("model %s: cannot load version %d: %s", self.name, number, error)
            with self._lock:
                version.state, version.error = State.END, error
            return
        with self._lock:
            version.servable, version.state = servable, State.AVAILABLE
        log.info("model %s: version %d is available after %.1f s", self.name, number, time.monotonic() - start)

    def _unload(self, number: int) -> None:
        with self._lock:
            version = self._versions[number]
            version.state = State.UNLOADING
            idle = version.leases == 0
        if idle:
            self._close(number, version)

    def _close(self, number: int, version: _Version) -> None:
        with self._lock:
            servable, version.servable = version.servable, None
        if servable is None:
            return
        servable.close()
        with self._lock:
            version.state = State.END
        log.info("model %s: version %d is unloaded", self.name, number)

    def _warn_once(self, warning: str) -> None:
        """Logs a warning when it differs from the last one. An empty string resets it."""
        if warning and warning != self._last_warning:
            log.warning("model %s: %s", self.name, warning)
        self._last_warning = warning
