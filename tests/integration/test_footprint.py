"""Memory and metrics of the sidecar after ten thousand paragraphs."""

import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Pod
from tests.integration.support.callers import ask_batch, paragraphs
from tests.integration.support.processes import Launcher

MEGABYTE = 10**6
CALLS = 40
PARAGRAPHS = 10_000


async def test_ten_thousand_paragraphs_are_counted_in_less_than_150_megabytes(pod: Pod, launch: Launcher) -> None:
    sidecar = launch.sidecar(pod.base, pod.model_server.target).until_serving()
    texts = paragraphs(PARAGRAPHS, longest=20, seed=8)
    size = PARAGRAPHS // CALLS
    async with sidecar.connected() as stub:
        for start in range(0, PARAGRAPHS, size):
            reply = await ask_batch(stub, [*texts[start : start + size], ""])
            assert sum(result.HasField("classification") for result in reply.results) == size

    batch = {"grpc_service": "undertone.v1.Classifier", "grpc_method": "ClassifyBatch"}
    assert sidecar.metric("undertone_paragraphs_total", code="OK") == PARAGRAPHS
    assert sidecar.metric("undertone_paragraphs_total", code="INVALID_ARGUMENT") == CALLS
    assert sidecar.metric("grpc_server_handled_total", grpc_code="OK", **batch) == CALLS
    assert sidecar.metric("grpc_server_handling_seconds_count", **batch) == CALLS
    assert sidecar.metric("undertone_queue_seconds_count") == PARAGRAPHS
    assert sidecar.metric("undertone_batch_items_sum") == PARAGRAPHS
    batches = sidecar.metric("undertone_batch_items_count")
    assert CALLS <= batches < PARAGRAPHS
    assert sidecar.metric("undertone_batch_tokens_count") == batches
    assert 0 < sidecar.metric("undertone_batch_padding_ratio_sum") < batches
    # Includes the calls of the warm-up.
    assert sidecar.metric("grpc_client_handled_total", grpc_method="Predict", grpc_code="OK") > batches
    assert sidecar.metric("undertone_ready") == 1
    assert sidecar.metric("undertone_model_info", version="1") == 1
    assert not any(word in sidecar.metrics_text() for word in ("laughed", "letter"))

    if sys.platform == "linux":
        assert sidecar.resident_bytes() < 150 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="loaded libraries are read from /proc")
def test_the_sidecar_does_not_load_tensorflow(pod: Pod) -> None:
    def loaded(pid: int) -> str:
        return Path(f"/proc/{pid}/maps").read_text()

    assert "/tensorflow/" in loaded(pod.model_server.pid)
    for heavy in ("tensorflow", "/torch/", "pyarrow", "pandas"):
        assert heavy not in loaded(pod.sidecar.pid)
