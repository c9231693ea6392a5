"""Optimization: steps, progress, checkpoints and the schedule of the learning rate."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from undertone_model.arrays import NamedArrays
from undertone_model.batches import pad_batch
from undertone_model.kept_steps import KeptSteps
from undertone_model.optimization import Progress, TrainingBatch, WarmupSchedule, make_optimizer, optimize


def test_one_step_for_each_batch_reduces_any_loss() -> None:
    variables = {"table": tf.Variable(np.zeros((4, 2), np.float32), name="table")}
    optimizer = make_optimizer(0.1, 0.0, 0.1, 40, list(variables.values()))
    targets = np.array([[0.5, 0.25], [0.5, 0.25]], np.float32)
    epochs = [[TrainingBatch(pad_batch([[1], [2]], [0, 1]), targets)] * 20] * 2
    reports, checkpoints = list[Progress](), list[NamedArrays]()
    trained = optimize(
        variables,
        optimizer,
        epochs,
        lambda input_ids, attention_mask: tf.gather(variables["table"], input_ids[:, 0]),
        lambda scores, targets: tf.reduce_mean((scores - targets) ** 2),
        reports.append,
        checkpoints.append,
        checkpoint_steps=15,
    )
    assert [(progress.epoch, progress.step, progress.steps) for progress in reports] == [
        (1 + step // 20, step + 1, 40) for step in range(40)
    ]
    assert trained["table"][1:3] == pytest.approx(targets, abs=0.05)
    assert not trained["table"][[0, 3]].any()
    assert len(checkpoints) == 2
    assert abs(checkpoints[0]["table"] - trained["table"]).max() > 0.001
    # The loss is a moving average, which follows slowly.
    assert reports[-1].loss < 0.6 * reports[0].loss


def test_learning_rate_rises_to_its_peak_and_decays_to_zero() -> None:
    schedule = WarmupSchedule(peak=2.0, steps=100, warmup=0.1)
    rates = [float(schedule(step)) for step in range(101)]
    assert max(rates) == rates[10] == 2.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == 0


class EndedError(Exception):
    """Stands for the end of the process."""


def run_table(kept: KeptSteps | None, end: int | None = None, first: float = 0.0) -> tuple[NamedArrays, list[Progress]]:
    """Trains a table of numbers for 40 steps, or until the step `end`, and saves every 15 steps."""
    variables = {"table": tf.Variable(np.full((4, 2), first, np.float32), name="table")}
    optimizer = make_optimizer(0.1, 0.01, 0.1, 40, list(variables.values()))
    random = np.random.default_rng(1)
    epochs = [
        [TrainingBatch(pad_batch([[1], [2]], [0, 1]), random.random((2, 2)).astype(np.float32)) for _ in range(20)]
        for _ in range(2)
    ]
    reports = list[Progress]()

    def report(progress: Progress) -> None:
        reports.append(progress)
        if progress.step == end:
            raise EndedError

    arguments = (
        variables,
        optimizer,
        epochs,
        lambda input_ids, attention_mask: tf.gather(variables["table"], input_ids[:, 0]),
        lambda scores, targets: tf.reduce_mean((scores - targets) ** 2),
        report,
    )
    try:
        return optimize(*arguments, checkpoint_steps=15, kept=kept), reports
    except EndedError:
        return {}, reports


def test_a_training_that_was_ended_continues_from_the_last_saved_step(tmp_path: Path) -> None:
    expected, whole = run_table(None)
    path = tmp_path / "stages" / "table.npz"
    for end, steps in ((10, range(1, 11)), (22, range(1, 23)), (38, range(16, 39)), (None, range(31, 41))):
        trained, reports = run_table(KeptSteps(path, "recipe"), end)
        assert [progress.step for progress in reports] == list(steps)
        assert reports == whole[steps[0] - 1 : steps[-1]]
    np.testing.assert_array_equal(trained["table"], expected["table"])
    assert [file.name for file in path.parent.iterdir()] == ["table.npz"]


@pytest.mark.parametrize(("recipe", "first"), [("another", 0.0), ("recipe", 0.5)])
def test_steps_of_another_training_are_not_read(recipe: str, first: float, tmp_path: Path) -> None:
    run_table(KeptSteps(tmp_path / "table.npz", "recipe"), 20)
    _, reports = run_table(KeptSteps(tmp_path / "table.npz", recipe), 16, first)
    assert reports[0].step == 1
    _, reports = run_table(KeptSteps(tmp_path / "table.npz", recipe), 17, first)
    assert reports[0].step == 16
