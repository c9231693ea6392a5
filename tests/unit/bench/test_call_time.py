import asyncio
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_bench.call_time import CallSample, CallTime, measure_calls, sample_batches
from undertone_bench.errors import BenchError
from undertone_bench.models import Batch, BenchModel
from undertone_protos.tfserving.v1.predict_pb2 import PredictRequest
from undertone_sidecar.testing import FakeTFServing, write_version


@given(
    per_call=st.floats(0, 0.1),
    per_token=st.floats(1e-6, 1e-2),
    sizes=st.sets(st.integers(8, 4096), min_size=12, max_size=40).filter(lambda sizes: max(sizes) > 20 * min(sizes)),
    seed=st.integers(0, 2**32),
)
def test_fit_recovers_the_planted_line_despite_noise_and_outliers(
    per_call: float, per_token: float, sizes: set[int], seed: int
) -> None:
    noise = random.Random(seed)
    samples = []
    for tokens in sizes:
        exact = per_call + per_token * tokens
        # One call in five is paused for a long time.
        samples += [CallSample(tokens, exact * (1 + noise.uniform(-0.03, 0.03))) for _ in range(4)]
        samples.append(CallSample(tokens, exact * 40))
    fitted = CallTime.fit(samples)
    assert fitted.error < 0.05
    for tokens in (min(sizes), max(sizes)):
        assert fitted.seconds(tokens) == pytest.approx(per_call + per_token * tokens, rel=0.08)


def test_coefficients_are_never_negative() -> None:
    fitted = CallTime.fit([CallSample(10, 0.001), CallSample(100, 0.1), CallSample(1000, 1.5)])
    assert fitted.seconds_per_call == 0
    assert fitted.seconds_per_token > 0


def test_one_size_is_too_few() -> None:
    with pytest.raises(BenchError, match="calls of 1 sizes were measured, but two are needed: increase --seconds"):
        CallTime.fit([CallSample(10, 0.1), CallSample(10, 0.2)])


def test_batches_have_all_sizes_up_to_the_budget() -> None:
    sequences = [np.ones(length, np.int32) for length in range(10, 200, 3)]
    batches = sample_batches(sequences, 1024, 40)
    sizes = sorted(batch.input_ids.size for batch in batches)
    assert 30 <= len(batches) <= 40
    assert sizes[0] < 40
    assert 900 < sizes[-1] <= 1024
    assert any(150 <= size <= 256 for size in sizes)
    assert any(400 <= size <= 512 for size in sizes)


async def test_measured_calls_of_a_model_server_give_its_line(tmp_path: Path) -> None:
    write_version(tmp_path / "emotions", 1)
    model = BenchModel.read(tmp_path / "emotions")
    serving = FakeTFServing("emotions", 0)  # The client asks for no version in particular.
    now = 0.0

    def take_time(request: PredictRequest) -> None:
        nonlocal now
        rows, length = (dim.size for dim in request.inputs["input_ids"].tensor_shape.dim)
        now += 0.25 + 0.5 * rows * length

    serving.fails = take_time
    address = f"unix:{tmp_path}/model.sock"
    await serving.start(address)
    batches = [Batch.ones(rows, length) for rows, length in ((1, 4), (2, 8), (4, 16))]
    try:
        samples = await asyncio.to_thread(measure_calls, address, model, batches, calls=1, seconds=100.0, clock=lambda: now)
    finally:
        await serving.stop()
    assert len(serving.shapes) == len(batches) + len(samples)
    assert {sample.tokens for sample in samples} == {4, 16, 64}
    fitted = CallTime.fit(samples)
    assert fitted.seconds_per_call == pytest.approx(0.25)
    assert fitted.seconds_per_token == pytest.approx(0.5)
