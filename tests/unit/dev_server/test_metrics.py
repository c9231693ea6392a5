"""Metrics by TF Serving's names, and the page that has them."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from undertone_dev_server import monitoring_config
from undertone_dev_server.errors import InvalidCallError, ServableNotFoundError, SettingsError
from undertone_dev_server.metrics import Metrics, MetricsPage
from undertone_dev_server.settings import Settings


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def page(metrics: Metrics) -> Iterator[MetricsPage]:
    page = MetricsPage(metrics, "127.0.0.1", 0, "/monitoring/prometheus/metrics")
    yield page
    page.close()


def get(page: MetricsPage, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", page.port, timeout=30)
    connection.request("GET", path, headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_requests_are_counted_by_model_and_status(metrics: Metrics, page: MetricsPage) -> None:
    for _ in range(2):
        with metrics.predicting("emotions"), metrics.running("emotions"):
            pass
    with pytest.raises(InvalidCallError), metrics.predicting("emotions"):
        raise InvalidCallError("wrong")
    status, body = get(page, "/monitoring/prometheus/metrics")
    assert status == 200
    assert ':tensorflow:serving:request_count{model_name="emotions",status="OK"} 2.0' in body
    assert ':tensorflow:serving:request_count{model_name="emotions",status="INVALID_ARGUMENT"} 1.0' in body
    assert ':tensorflow:serving:request_latency_count{API="predict",entrypoint="GRPC",model_name="emotions"} 3.0' in body
    assert ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="emotions",runtime="TF1"} 2.0' in body


def test_names_that_callers_make_up_are_not_kept(metrics: Metrics, page: MetricsPage) -> None:
    with pytest.raises(ServableNotFoundError), metrics.predicting("made up"):
        raise ServableNotFoundError("no such model")
    assert "made up" not in get(page, "/monitoring/prometheus/metrics")[1]


def test_the_page_has_one_path(page: MetricsPage) -> None:
    status, body = get(page, "/v1/models/emotions:predict")
    assert (status, body) == (404, "only /monitoring/prometheus/metrics is here\n")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true path: "/here" }', "/here"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { path: "/here" }', ""),
        ("", ""),
    ],
)
def test_the_config_says_where(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "config").write_text(text)
    assert monitoring_config.read(tmp_path / "config") == path


def test_a_config_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        monitoring_config.read(tmp_path / "config")
    (tmp_path / "config").write_text("prometheus { on }")
    with pytest.raises(SettingsError, match="not a MonitoringConfig in text format"):
        monitoring_config.read(tmp_path / "config")


def test_metrics_want_a_port() -> None:
    with pytest.raises(SettingsError, match="give --rest_api_port"):
        Settings((), grpc_max_threads=1, monitoring_path="/metrics")
    with pytest.raises(SettingsError, match="--rest_api_port=70000 is not a TCP port"):
        Settings((), grpc_max_threads=1, rest_api_port=70000)
