"""The values that `undertone-bench tune --write` writes."""

import pytest
from undertone_bench.chart import Chart
from undertone_bench.tuning.pod_setup import PodSetup

from tests.chart.support.pods import find_container, inference_pod


@pytest.mark.parametrize(
    "setup",
    [
        PodSetup("bf16", 2, calls=2, threads=1, batch_tokens=1024),
        PodSetup("fp32", 8, calls=2, threads=2, batch_tokens=4096, onednn=False, omp_threads=4),
    ],
)
def test_the_chart_applies_a_tuned_setup(chart: Chart, setup: PodSetup) -> None:
    chart.lint(setup.chart_values)
    pod = inference_pod(chart, setup.chart_values)
    sidecar, server = find_container(pod, "sidecar"), find_container(pod, "model-server")
    assert {f"--model-calls={setup.calls}", f"--batch-tokens={setup.batch_tokens}"} <= set(sidecar["args"])
    threads = [flag for flag in server["args"] if flag.startswith("--tensorflow_intra_op_parallelism=")]
    assert threads[-1] == f"--tensorflow_intra_op_parallelism={setup.threads}"  # TF Serving uses the last one.
    assert f"--tensorflow_inter_op_parallelism={setup.calls}" in server["args"]
    variables = {one["name"]: one.get("value") for one in server["env"]}
    assert variables.get("TF_ENABLE_ONEDNN_OPTS", "1") == str(int(setup.onednn))
    assert variables.get("OMP_NUM_THREADS") == (str(setup.omp_threads) if setup.omp_threads else None)
    assert server["resources"]["limits"]["cpu"] == str(setup.cpus)
