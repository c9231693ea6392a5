"""Versions over their life, with the fake loader and a real folder."""

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
from undertone_dev_server.model import Model, State
from undertone_dev_server.model_config import All, Latest, ModelConfig, Policy, Specific
from undertone_dev_server.testing import FakeLoader, FakeServable, write_version


def model_of(base_path: Path, policy: Policy = Latest()) -> tuple[Model, FakeLoader]:  # noqa: B008
    loader = FakeLoader()
    return Model(ModelConfig("emotions", base_path, policy), loader), loader


def states(model: Model) -> dict[int, State]:
    return {status.version: status.state for status in model.statuses()}


def newest(model: Model) -> int:
    with model.lease(None) as lease:
        return lease.version


def test_the_newest_version_is_served(tmp_path: Path) -> None:
    model, _ = model_of(tmp_path)
    write_version(tmp_path, 2)
    write_version(tmp_path, 10)
    assert not model.available
    model.reconcile()
    assert model.available
    assert newest(model) == 10
    assert states(model) == {10: State.AVAILABLE}


@pytest.mark.parametrize(
    ("policy", "served"),
    [(Latest(), {4}), (Latest(2), {3, 4}), (Latest(9), {1, 3, 4}), (All(), {1, 3, 4}), (Specific(frozenset({1, 2})), {1})],
)
def test_the_policy_picks(tmp_path: Path, policy: Policy, served: set[int]) -> None:
    model, _ = model_of(tmp_path, policy)
    for version in (1, 3, 4):
        write_version(tmp_path, version)
    model.reconcile()
    assert set(states(model)) == served
    assert newest(model) == max(served)


def test_a_new_version_takes_over_and_the_old_one_ends_with_its_last_call(tmp_path: Path) -> None:
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


def test_a_version_that_fails_leaves_the_old_one_and_says_why(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    write_version(tmp_path, 2, broken=True)
    for _ in range(3):
        model.reconcile()
    assert newest(model) == 1
    failed = model.statuses()[0]
    assert (failed.version, failed.state) == (2, State.END)
    assert "is broken" in str(failed.error)
    assert len(loader.loaded) == 1

    write_version(tmp_path, 2)
    model.reconcile()
    assert newest(model) == 2
    assert model.statuses()[0].error is None


def test_going_back_is_deleting_the_newest(tmp_path: Path) -> None:
    model, _ = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    write_version(tmp_path, 2)
    model.reconcile()
    shutil.rmtree(tmp_path / "2")
    model.reconcile()
    assert newest(model) == 1
    assert states(model) == {2: State.END, 1: State.AVAILABLE}


def test_without_versions_on_disk_nothing_is_served(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    shutil.rmtree(tmp_path / "1")
    model.reconcile()
    assert not model.available
    assert loader.loaded[0].times_closed == 1
    with pytest.raises(ServableNotFoundError, match=r"^Servable not found for request: Latest\(emotions\)$"), model.lease(None):
        pass


def test_a_base_path_that_vanishes_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base_path = tmp_path / "emotions"
    model, _ = model_of(base_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            model.reconcile()
    assert [str(base_path) in record.message for record in caplog.records] == [True], "said once, with the path"

    write_version(base_path, 1)
    model.reconcile()
    base_path.rename(tmp_path / "away")
    model.reconcile()
    assert newest(model) == 1


def test_an_empty_base_path_is_mentioned_once_with_what_it_should_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = model_of(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            model.reconcile()
    assert ["1/saved_model.pb" in record.message for record in caplog.records] == [True]


def test_closing_ends_every_version(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path, All())
    write_version(tmp_path, 1)
    write_version(tmp_path, 2)
    model.reconcile()
    with model.lease(1):
        model.close()
    assert [servable.times_closed for servable in loader.loaded] == [1, 1]
    assert set(states(model).values()) == {State.END}


def test_calls_from_many_threads_never_meet_a_closed_version(tmp_path: Path) -> None:
    model, loader = model_of(tmp_path)
    write_version(tmp_path, 1)
    model.reconcile()
    done = threading.Event()
    met_closed = []

    def call() -> None:
        while not done.is_set():
            with model.lease(None) as lease:
                met_closed.append(loader.loaded[lease.version - 1].times_closed)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for version in range(2, 60):
        write_version(tmp_path, version)
        model.reconcile()
    done.set()
    for caller in callers:
        caller.join()
    assert met_closed
    assert not any(met_closed)
    assert [servable.times_closed for servable in loader.loaded] == [1] * 58 + [0]


class Life(RuleBasedStateMachine):
    """Versions come, go, break and heal while calls hold them."""

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.base_path = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.model, self.loader = model_of(self.base_path)
        self.held: list[tuple[ExitStack, FakeServable]] = []

    @rule(version=st.integers(1, 4), broken=st.booleans())
    def write(self, version: int, *, broken: bool) -> None:
        if version not in states(self.model) or states(self.model)[version] is State.END:
            write_version(self.base_path, version, broken=broken)

    @rule(version=st.integers(1, 4))
    def delete(self, version: int) -> None:
        shutil.rmtree(self.base_path / str(version), ignore_errors=True)

    @rule()
    def look(self) -> None:
        before = self.model.available
        self.model.reconcile()
        on_disk = any(self.base_path.iterdir())
        if before and on_disk:
            assert self.model.available, "what served goes on serving while there is a version on disk"

    @rule(version=st.none() | st.integers(1, 4))
    def hold(self, version: int | None) -> None:
        call = ExitStack()
        try:
            lease = call.enter_context(self.model.lease(version))
        except ServableNotFoundError:
            return
        assert isinstance(lease.servable, FakeServable)
        self.held.append((call, lease.servable))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        call, _ = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        call.close()

    @invariant()
    def nothing_held_is_closed(self) -> None:
        for _, servable in self.held:
            assert servable.times_closed == 0

    @invariant()
    def what_is_retired_and_free_is_closed_once(self) -> None:
        held = {id(servable) for _, servable in self.held}
        serving = set()
        for version, state in states(self.model).items():
            if state is State.AVAILABLE:
                with self.model.lease(version) as lease:
                    serving.add(id(lease.servable))
        for servable in self.loader.loaded:
            free = id(servable) not in held and id(servable) not in serving
            assert servable.times_closed == int(free)

    def teardown(self) -> None:
        self.stack.close()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
