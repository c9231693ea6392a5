"""Loads on the fleet model, where time is virtual."""

from dataclasses import replace
from functools import partial

import pytest
from undertone_bench.fleet_load import FleetLoad
from undertone_bench.fleet_prediction import predict as predict_histories

from tests.unit.support.calibrations import CALIBRATION

POD = replace(CALIBRATION, cpus=1.0, seconds_per_call=0.01, seconds_per_token=0.0003, load_seconds=4.0, warmup_seconds=1.0)
LENGTHS = [24, 48, 96, 128, 256]
SECONDS = 30.0

predict = partial(predict_histories, histories=1)


def test_a_job_uses_most_of_the_fleet_and_a_killed_pod_costs_only_its_own_share() -> None:
    job = predict(FleetLoad("job", batch=True), LENGTHS, POD, pods=3, seconds=SECONDS)
    killed = predict(FleetLoad("kill", batch=True, kill=True), LENGTHS, POD, pods=3, seconds=SECONDS)
    assert 0.8 < job.batch_tokens_per_second / (3 * POD.tokens_per_second) < 1.05
    assert 0.6 < killed.batch_tokens_per_second / job.batch_tokens_per_second < 1
    assert job.failed == killed.failed == 0


def test_only_readers_of_the_measurement_count_and_wait_longer_beside_a_job() -> None:
    alone = predict(FleetLoad("readers", reader_rate=20.0), LENGTHS, POD, pods=2, seconds=SECONDS)
    beside = predict(FleetLoad("both", batch=True, reader_rate=20.0), LENGTHS, POD, pods=2, seconds=SECONDS)
    assert 450 < len(alone.latencies) < 750
    assert alone.batch_tokens_per_second == 0
    assert min(alone.latencies) >= 0.01 + 0.0003 * 24
    assert sorted(beside.latencies)[300] > sorted(alone.latencies)[300]
    assert beside.batch_tokens_per_second > 0


def test_a_prediction_is_the_same_in_every_run() -> None:
    load = FleetLoad("kill", batch=True, reader_rate=20.0, kill=True)
    first, second = (predict(load, LENGTHS, POD, pods=2, seconds=10.0) for _ in range(2))
    assert first == second


def test_a_prediction_has_the_latencies_of_all_histories_and_their_mean_rate() -> None:
    load = FleetLoad("both", batch=True, reader_rate=5.0)
    first, both = (predict_histories(load, LENGTHS, POD, pods=2, seconds=5.0, histories=count) for count in (1, 2))
    assert both.latencies[: len(first.latencies)] == first.latencies
    assert len(both.latencies) == 2 * len(first.latencies)
    assert both.batch_tokens_per_second == pytest.approx(first.batch_tokens_per_second, rel=0.1)


def test_a_killed_pod_costs_throughput_for_the_time_of_its_start() -> None:
    load = FleetLoad("kill", batch=True, kill=True)
    quick, slow = (
        predict(load, LENGTHS, replace(POD, load_seconds=seconds), pods=2, seconds=SECONDS).batch_tokens_per_second
        for seconds in (2.0, 12.0)
    )
    assert (quick - slow) / (2 * POD.tokens_per_second) == pytest.approx(10 / (2 * SECONDS), rel=0.4)
