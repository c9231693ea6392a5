"""The panels of TF Serving on its series, in a real Prometheus that scrapes the model server."""

import json
from pathlib import Path

import grpc
import pytest
from undertone_protos.tf_serving import PREDICT
from undertone_protos.tfserving.v1 import predict_pb2

from tests.chart.support.paths import CHART
from tests.integration.conftest import Pod
from tests.integration.support.processes import TIMEOUT_SECONDS, ModelServer, until
from tests.integration.support.prometheus import Prometheus, Target


def test_panels_hold_with_calls_for_unknown_models(pod: Pod, tmp_path: Path) -> None:
    """TF Serving counts these calls by the caller's name of the model, and measures only successful
    calls. The requests of its warm-up have an empty name.
    """
    labels = {"namespace": "reading", "pod": "a"}
    target = Target(pod.model_server.metrics_port, labels, path=ModelServer.METRICS_PATH)
    panels = json.loads((CHART / "files/dashboards/undertone.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    queries = [query.replace("$__rate_interval", "1m").replace("$namespace", "reading") for query in queries]
    queries = [query for query in queries if ":tensorflow:serving:" in query]
    names = [f"no-such-model-{number}" for number in range(3)]
    with grpc.insecure_channel(pod.model_server.target) as channel:
        predict: grpc.UnaryUnaryMultiCallable[predict_pb2.PredictRequest, bytes] = channel.unary_unary(
            PREDICT, request_serializer=predict_pb2.PredictRequest.SerializeToString
        )
        for name in names:
            with pytest.raises(grpc.RpcError, match="Servable not found"):
                predict(predict_pb2.PredictRequest(model_spec=predict_pb2.ModelSpec(name=name)), timeout=TIMEOUT_SECONDS)
    prometheus = Prometheus(tmp_path, [target], [])
    try:
        prometheus.until_ready()
        for name in names:
            count = f':tensorflow:serving:request_count{{model_name="{name}", status="NOT_FOUND"}}'
            until(lambda count=count: prometheus.query(count) != [], f"a scrape has {count}")  # type: ignore[misc]
        assert prometheus.query(':tensorflow:serving:runtime_latency_count{model_name=""}')
        assert not prometheus.query(':tensorflow:serving:request_latency_count{model_name=~"no-such.*"}')

        # The panel of requests has a line for each status, a panel of latencies one for the model.
        def lines() -> list[int]:
            with_names = [query for query in queries if "model_name" in query]
            assert len(with_names) == 3
            return [int(prometheus.query(f"count({query})")[0]) if prometheus.query(query) else 0 for query in queries]

        until(lambda: max(lines()) == 2, "the panel of requests has OK and NOT_FOUND")
        assert sorted(lines())[-2] <= 1, "no line for a name of a caller"
    finally:
        prometheus.stop()
