from dataclasses import replace

import pytest
from undertone_bench.fleet_load import FleetLoad
from undertone_bench.fleet_prediction import predict
from undertone_planner.calibration import CalibratedMachine, PodCalibration

CALIBRATION = PodCalibration(
    machine=CalibratedMachine(cpu="none", cores=0),
    model="emotions",
    precision="fp32",
    cpus=1.0,
    seconds_per_call=0.01,
    seconds_per_token=0.001,
    model_calls=1,
    batch_tokens=2048,
    load_seconds=2.0,
    warmup_seconds=0.0,
    memory_bytes=0,
)
TOKENS = [40, 80, 120, 400]


def test_readers_wait_longer_the_more_there_are() -> None:
    few, many = (predict(FleetLoad("", reader_rate=rate), TOKENS, CALIBRATION, pods=2, seconds=10) for rate in (1.0, 8.0))
    assert min(few.latencies) >= CALIBRATION.seconds_per_token * min(TOKENS)
    assert sum(few.latencies) / len(few.latencies) < sum(many.latencies) / len(many.latencies)
    # Eight histories of the same arrivals, about 10 in each.
    assert len(few.latencies) % 8 == 0
    assert 8 * 3 < len(few.latencies) < 8 * 20


def test_a_killed_pod_costs_throughput_for_the_time_of_its_start() -> None:
    def rate(load: FleetLoad, start_seconds: float) -> float:
        started = replace(CALIBRATION, load_seconds=start_seconds)
        return predict(load, TOKENS, started, pods=2, seconds=30).batch_tokens_per_second

    whole = rate(FleetLoad("", batch=True), 2.0)
    quick, slow = (rate(FleetLoad("", batch=True, kill=True), seconds) for seconds in (2.0, 12.0))
    assert whole == pytest.approx(2 * CALIBRATION.tokens_per_second, rel=0.05)
    assert slow < quick < whole
    assert (quick - slow) / whole == pytest.approx(10 / (2 * 30), rel=0.3)
