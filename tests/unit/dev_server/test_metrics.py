"""Metrics with TF Serving's names, and the server that exposes them."""

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from undertone_dev_server.errors import InvalidCallError, ServableNotFoundError
from undertone_dev_server.metrics import Metrics, serve_metrics
from undertone_telemetry.page_server import PageServer


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def server(metrics: Metrics) -> Iterator[PageServer]:
    server = serve_metrics(metrics, "127.0.0.1", 0, "/monitoring/prometheus/metrics")
    yield server
    server.close()


def get(server: PageServer, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def test_requests_are_counted_by_model_and_status(metrics: Metrics, server: PageServer) -> None:
    for _ in range(2):
        with metrics.measure_request("emotions"), metrics.measure_graph("emotions"):
            pass
    with pytest.raises(InvalidCallError), metrics.measure_request("emotions"):
        raise InvalidCallError("wrong")
    status, body = get(server, "/monitoring/prometheus/metrics")
    assert status == 200
    assert ':tensorflow:serving:request_count{model_name="emotions",status="OK"} 2.0' in body
    assert ':tensorflow:serving:request_count{model_name="emotions",status="INVALID_ARGUMENT"} 1.0' in body
    # The latency of requests and of the graph is measured if they succeed.
    assert ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="GRPC",model_name="emotions"} 2.0' in body
    assert ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="emotions",runtime="TF1"} 2.0' in body


def test_unknown_models_are_counted_by_the_name_of_the_caller(metrics: Metrics, server: PageServer) -> None:
    with pytest.raises(ServableNotFoundError), metrics.measure_request("unknown"):
        raise ServableNotFoundError("no such model")
    body = get(server, "/monitoring/prometheus/metrics")[1]
    assert ':tensorflow:serving:request_count{model_name="unknown",status="NOT_FOUND"} 1.0' in body
    assert 'request_latency_count{API="Predict",entrypoint="GRPC",model_name="unknown"' not in body


def test_other_paths_return_404(server: PageServer) -> None:
    status, body = get(server, "/v1/models/emotions:predict")
    assert (status, body) == (404, "only /monitoring/prometheus/metrics is served here\n")
