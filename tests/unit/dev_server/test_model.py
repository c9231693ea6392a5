"""Lifecycle of versions, with the fake loader and real folders."""

import logging
import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from undertone_dev_server.errors import ServableNotFoundError
from undertone_dev_server.model import Model
from undertone_dev_server.states import Retries, State
from undertone_dev_server.testing import FakeLoader, FakeServable, write_version
from undertone_dev_server.version_policy import NEWEST, VersionPolicy

ONCE = Retries(0)


def model_of(base_path: Path, policy: VersionPolicy = NEWEST, retries: Retries = ONCE) -> tuple[Model, FakeLoader]:
    loader = FakeLoader()
    return Model("emotions", base_path, loader, policy, retries), loader


def states(model: Model) -> dict[int, State]:
    return {status.version: status.state for status in model.statuses()}


def available(model: Model) -> bool:
    return State.AVAILABLE in states(model).values()


def newest(model: Model) -> int:
    with model.lease(None) as lease:
        return lease.version


def test_newest_version_is_served(tmp_path: Path) -> None:
    model, _ = model_of(tmp_path)
    write_version(tmp_path, 2)
    write_version(tmp_path, 10)
    model.reconcile()
    assert newest(model) == 10
    assert states(model) == {10: State.AVAILABLE}


def test_old_version_is_unloaded_after_its_last_call(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    with model.lease(None) as first, model.lease(1) as second:
        write_version(tmp_path, 2)
        model.reconcile()
        assert newest(model) == 2
        assert states(model) == {2: State.AVAILABLE, 1: State.UNLOADING}
        assert first.servable is second.servable is loader.loaded[0]
        with pytest.raises(ServableNotFoundError, match=r"Specific\(emotions, 1\)"), model.lease(1):
            pass
        assert loader.loaded[0].times_closed == 0
    assert loader.loaded[0].times_closed == 1
    assert states(model) == {2: State.AVAILABLE, 1: State.END}


def test_failed_load_is_retried_while_the_old_version_answers(tmp_path: Path) -> None:
    """As BasicManager::Load with `max_num_load_retries` and `load_retry_interval_micros`."""
    write_version(tmp_path, 1)
    seen: list[tuple[float, dict[int, State], int]] = []

    def pause(seconds: float) -> bool:
        seen.append((seconds, states(model), newest(model)))
        return False

    model, loader = model_of(tmp_path, retries=Retries(5, 60.0, pause))
    model.reconcile()
    (tmp_path / "2").mkdir()
    model.reconcile()
    assert loader.attempts == ["1"] + ["2"] * 6
    assert seen == [(60.0, {2: State.LOADING, 1: State.AVAILABLE}, 1)] * 5
    assert newest(model) == 1
    failed = model.statuses()[0]
    assert (failed.version, failed.state) == (2, State.END)
    assert "has no graph" in str(failed.error)

    # TF Serving gives up. The version is loaded once its folder was away.
    write_version(tmp_path, 2)
    model.reconcile()
    assert newest(model) == 1
    (tmp_path / "2").rename(tmp_path / "away")
    model.reconcile()
    (tmp_path / "away").rename(tmp_path / "2")
    model.reconcile()
    assert newest(model) == 2
    assert states(model) == {2: State.AVAILABLE, 1: State.END}


def test_retry_loads_a_copy_that_is_complete_in_the_meantime(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()

    def copy(_seconds: float) -> bool:
        write_version(tmp_path, 1)
        return False

    model, loader = model_of(tmp_path, retries=Retries(5, 60.0, copy))
    model.reconcile()
    assert loader.attempts == ["1", "1"]
    assert newest(model) == 1


def test_stop_ends_the_retries(tmp_path: Path) -> None:
    write_version(tmp_path, 1, broken=True)
    model, loader = model_of(tmp_path, retries=Retries(5, 60.0, lambda _: True))
    model.reconcile()
    assert loader.attempts == ["1"]


def test_latest_versions_are_served_beside_each_other(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path, VersionPolicy(latest=2))
    for version in (1, 2):
        write_version(tmp_path, version)
    model.reconcile()
    assert states(model) == {2: State.AVAILABLE, 1: State.AVAILABLE}
    with model.lease(1) as lease:
        assert lease.servable is loader.loaded[1]
    write_version(tmp_path, 3)
    model.reconcile()
    assert states(model) == {3: State.AVAILABLE, 2: State.AVAILABLE, 1: State.END}


def test_specific_version_is_served_whatever_is_beside_it(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path, VersionPolicy(specific=frozenset({2, 7})))
    for version in (1, 2, 3):
        write_version(tmp_path, version)
    model.reconcile()
    assert states(model) == {2: State.AVAILABLE}
    assert loader.attempts == ["2"]


def test_all_versions_are_served(tmp_path: Path) -> None:
    model, _ = model_of(tmp_path, VersionPolicy(latest=None))
    for version in (1, 2, 3):
        write_version(tmp_path, version)
    model.reconcile()
    assert states(model) == dict.fromkeys((3, 2, 1), State.AVAILABLE)


def test_first_loads_run_concurrently(tmp_path: Path) -> None:
    """The second version is available while the load of the first one is retried."""
    retrying, stop = threading.Event(), threading.Event()

    def pause(_seconds: float) -> bool:
        retrying.set()
        return stop.wait()

    model, _ = model_of(tmp_path, VersionPolicy(latest=2), Retries(5, 60.0, pause))
    write_version(tmp_path, 1)
    write_version(tmp_path, 2, broken=True)
    model.reconcile(concurrently=True)
    assert model.wait_for_first_load(stop)
    retrying.wait()
    assert states(model) == {2: State.LOADING, 1: State.AVAILABLE}
    stop.set()


def test_deleting_the_newest_version_rolls_back(tmp_path: Path) -> None:
    model, _ = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    write_version(tmp_path, 2)
    model.reconcile()
    shutil.rmtree(tmp_path / "2")
    model.reconcile()
    assert newest(model) == 1
    assert states(model) == {2: State.END, 1: State.AVAILABLE}


def test_nothing_is_served_without_versions_on_disk(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    shutil.rmtree(tmp_path / "1")
    model.reconcile()
    assert not available(model)
    assert loader.loaded[0].times_closed == 1
    with pytest.raises(ServableNotFoundError, match=r"^Servable not found for request: Latest\(emotions\)$"), model.lease(None):
        pass


def test_loaded_version_survives_a_missing_base_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base_path = tmp_path / "emotions"
    model, _ = model_of(base_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            model.reconcile()
    assert [str(base_path) in record.message for record in caplog.records] == [True], "logged once, with the path"

    write_version(base_path, 1)
    model.reconcile()
    base_path.rename(tmp_path / "away")
    model.reconcile()
    assert newest(model) == 1


def test_empty_base_path_is_logged_once_with_an_example(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, _ = model_of(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            model.reconcile()
    assert ["1/saved_model.pb" in record.message for record in caplog.records] == [True]


def test_close_closes_every_version(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    with model.lease(1):
        write_version(tmp_path, 2)
        model.reconcile()
        model.close()
    assert [servable.times_closed for servable in loader.loaded] == [1, 1]
    assert set(states(model).values()) == {State.END}


def test_concurrent_calls_never_use_a_closed_version(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    done = threading.Event()
    times_closed = []

    def call() -> None:
        while not done.is_set():
            with model.lease(None) as lease:
                times_closed.append(loader.loaded[lease.version - 1].times_closed)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for version in range(2, 60):
        write_version(tmp_path, version)
        model.reconcile()
    done.set()
    for caller in callers:
        caller.join()
    assert times_closed
    assert not any(times_closed)
    assert [servable.times_closed for servable in loader.loaded] == [1] * 58 + [0]


class Lifecycle(RuleBasedStateMachine):
    """Versions are added, deleted, broken and repaired during calls."""

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.base_path = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.model, self.loader = model_of(self.base_path)
        self.leases: list[tuple[ExitStack, FakeServable]] = []

    @rule(version=st.integers(1, 4), broken=st.booleans())
    def write(self, version: int, *, broken: bool) -> None:
        if version not in states(self.model) or states(self.model)[version] is State.END:
            write_version(self.base_path, version, broken=broken)

    @rule(version=st.integers(1, 4))
    def delete(self, version: int) -> None:
        shutil.rmtree(self.base_path / str(version), ignore_errors=True)

    @rule()
    def reconcile(self) -> None:
        before = available(self.model)
        self.model.reconcile()
        on_disk = any(self.base_path.iterdir())
        if before and on_disk:
            assert available(self.model), "the model stays available while a version is on disk"

    @rule(version=st.none() | st.integers(1, 4))
    def lease(self, version: int | None) -> None:
        call = ExitStack()
        try:
            lease = call.enter_context(self.model.lease(version))
        except ServableNotFoundError:
            return
        assert isinstance(lease.servable, FakeServable)
        self.leases.append((call, lease.servable))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        call, _ = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        call.close()

    @invariant()
    def leased_versions_are_open(self) -> None:
        for _, servable in self.leases:
            assert servable.times_closed == 0

    @invariant()
    def unloaded_versions_without_leases_are_closed_once(self) -> None:
        leased = {id(servable) for _, servable in self.leases}
        available = set()
        for version, state in states(self.model).items():
            if state is State.AVAILABLE:
                with self.model.lease(version) as lease:
                    available.add(id(lease.servable))
        for servable in self.loader.loaded:
            unused = id(servable) not in leased | available
            assert servable.times_closed == int(unused)

    def teardown(self) -> None:
        self.stack.close()


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
