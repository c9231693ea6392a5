"""Lifecycle of the model's versions: load, serve, unload."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from undertone_dev_server.errors import LoadError, ServableNotFoundError
from undertone_dev_server.folders import GRAPH_FILE, find_versions
from undertone_dev_server.servable import Loader, Servable
from undertone_dev_server.states import Lease, Retries, State, VersionStatus
from undertone_dev_server.version_policy import NEWEST, VersionPolicy

log = logging.getLogger(__name__)

RETRIES: Final = Retries()


@dataclass(slots=True, eq=False)
class _Version:
    folder: Path
    state: State = State.START
    servable: Servable | None = None
    leases: int = 0
    error: LoadError | None = None
    wanted: bool = True
    """The policy selects it. A version that has ended is loaded again if it was not wanted in the
    meantime.
    """


class Model:
    """Serves the versions in the folder `base_path` that the policy selects.

    One thread calls `reconcile` periodically; any thread may call the other methods. As in TF
    Serving's AvailabilityPreservingPolicy, a version that is not selected any more is unloaded only
    when a selected one is available, or none is on disk. A version that is being unloaded accepts
    no new calls and is closed after its last call.

    A version is loaded as soon as its folder exists. If that fails, the load is retried; the thread
    of `reconcile` does nothing else meanwhile.
    """

    def __init__(
        self,
        name: str,
        base_path: Path,
        load: Loader,
        policy: VersionPolicy = NEWEST,
        retries: Retries = RETRIES,
    ) -> None:
        self.name = name
        self._base_path = base_path
        self._load = load
        self._policy = policy
        self._retries = retries
        self._changed = threading.Condition()
        self._versions: dict[int, _Version] = {}
        self._has_served = False
        self._last_warning = ""

    def statuses(self) -> list[VersionStatus]:
        """Status of every version since the start, newest first."""
        with self._changed:
            versions = sorted(self._versions.items(), reverse=True)
            return [VersionStatus(number, version.state, version.error) for number, version in versions]

    @property
    def has_served(self) -> bool:
        """True if a version is or was available."""
        with self._changed:
            return self._has_served

    def wait_for_first_load(self, stopping: threading.Event) -> bool:
        """Waits until a version is available or all selected versions have failed, or `stopping` is
        set and `wake` is called. Returns whether a version is available.
        """

        def decided() -> bool:
            states = [version.state for version in self._versions.values() if version.wanted]
            return State.AVAILABLE in states or (bool(states) and set(states) == {State.END}) or stopping.is_set()

        with self._changed:
            self._changed.wait_for(decided)
            return any(version.state is State.AVAILABLE for version in self._versions.values())

    def wake(self) -> None:
        """Lets `wait_for_first_load` look at its event."""
        with self._changed:
            self._changed.notify_all()

    @contextlib.contextmanager
    def lease(self, number: int | None) -> Iterator[Lease]:
        """Keeps a version loaded during a call. None means the newest available version.

        Raises ServableNotFoundError if that version is not available.
        """
        with self._changed:
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
            with self._changed:
                version.leases -= 1
                last = version.state is State.UNLOADING and version.leases == 0
            if last:
                self._close(key, version)

    def reconcile(self, *, concurrently: bool = False) -> None:
        """Compares the base path with the loaded versions once: unloads and loads versions until
        the policy is satisfied, or a load has failed for good.

        With `concurrently`, each load has a thread of its own, as in TF Serving before the first
        version is available.
        """
        try:
            found = find_versions(self._base_path)
        except LoadError as error:
            # The folder may be a mount that comes back, so loaded versions are kept.
            self._warn_once(f"{error}; waiting for it")
            return
        wanted = self._policy.choose(found)
        self._warn_once("" if wanted else f"no version in {self._base_path}; waiting for a folder such as 1/{GRAPH_FILE}")
        self._want(wanted)
        while (number := self._next_to_unload()) is not None or (number := self._next_to_load()) is not None:
            version = self._versions[number]
            if version.state is State.AVAILABLE:
                self._unload(number, version)
            elif concurrently:
                self._set_state(version, State.LOADING)
                threading.Thread(target=self._load_version, args=(number, version), name="load", daemon=True).start()
            else:
                self._load_version(number, version)

    def close(self) -> None:
        """Closes every version. Running calls fail."""
        with self._changed:
            versions = [(number, version) for number, version in self._versions.items() if version.servable is not None]
        for number, version in versions:
            self._close(number, version)

    def _want(self, wanted: Mapping[int, Path]) -> None:
        with self._changed:
            for number, version in self._versions.items():
                if number not in wanted:
                    version.wanted = False
            for number, folder in wanted.items():
                known = self._versions.get(number)
                if known is None or (known.state is State.END and not known.wanted):
                    self._versions[number] = _Version(folder)
                elif known.state is not State.UNLOADING:
                    known.wanted = True

    def _next_to_unload(self) -> int | None:
        with self._changed:
            wanted = [version for version in self._versions.values() if version.wanted]
            others = [
                number for number, version in self._versions.items() if version.state is State.AVAILABLE and not version.wanted
            ]
            replaced = any(version.state is State.AVAILABLE for version in wanted)
            return min(others) if others and (replaced or not wanted or len(others) > 1) else None

    def _next_to_load(self) -> int | None:
        with self._changed:
            return max(
                (number for number, version in self._versions.items() if version.wanted and version.state is State.START),
                default=None,
            )

    def _load_version(self, number: int, version: _Version) -> None:
        self._set_state(version, State.LOADING)
        log.info("model %s: loading version %d from %s", self.name, number, version.folder)
        start = time.monotonic()
        failure: LoadError | None = None
        for attempt in range(self._retries.count + 1):
            if attempt and (self._retries.pause(self._retries.seconds) or not version.wanted):
                break
            try:
                version.servable = self._load(version.folder)
            except LoadError as error:
                failure = error
                log.error("model %s: cannot load version %d (attempt %d): %s", self.name, number, attempt + 1, error)
            else:
                self._set_state(version, State.AVAILABLE)
                log.info("model %s: version %d is available after %.1f s", self.name, number, time.monotonic() - start)
                return
        self._set_state(version, State.END, failure)

    def _unload(self, number: int, version: _Version) -> None:
        with self._changed:
            version.state = State.UNLOADING
            idle = version.leases == 0
        if idle:
            self._close(number, version)

    def _close(self, number: int, version: _Version) -> None:
        with self._changed:
            servable, version.servable = version.servable, None
        if servable is None:
            return
        servable.close()
        self._set_state(version, State.END)
        log.info("model %s: version %d is unloaded", self.name, number)

    def _set_state(self, version: _Version, state: State, error: LoadError | None = None) -> None:
        with self._changed:
            version.state, version.error = state, error
            self._has_served |= state is State.AVAILABLE
            self._changed.notify_all()

    def _warn_once(self, warning: str) -> None:
        """Logs a warning when it differs from the last one. An empty string resets it."""
        if warning and warning != self._last_warning:
            log.warning("model %s: %s", self.name, warning)
        self._last_warning = warning
