"""Optimization: steps, progress, checkpoints and the schedule of the learning rate."""

import numpy as np
import pytest
import tensorflow as tf
from undertone_model.arrays import NamedArrays
from undertone_model.batches import pad_batch
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
