"""The server: limit of concurrent calls, health, new versions under load, start and stop."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from undertone_dev_server.errors import SettingsError, StartError
from undertone_dev_server.saved_model import SavedModelLoader
from undertone_dev_server.servable import Loader
from undertone_dev_server.server import DevelopmentServer
from undertone_dev_server.settings import Settings
from undertone_dev_server.testing import FakeLoader, write_version

AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
END = get_model_status_pb2.ModelVersionStatus.END


@contextmanager
def serving(base_path: Path, load: Loader, *, threads: int = 8) -> Iterator[tuple[DevelopmentServer, grpc.Channel]]:
    settings = Settings(
        "emotions",
        base_path,
        grpc_max_threads=threads,
        port=0,
        file_system_poll_wait_seconds=0.02,
        load_retry_interval_micros=1000,
    )
    server = DevelopmentServer(settings, load)
    port = server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, channel
    finally:
        server.stop()


def echo_request() -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "emotions"})
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1, 2], dtype=tf.int32))
    return request


def start_call(channel: grpc.Channel, timeout: float = 30) -> "grpc.Future[predict_pb2.PredictResponse]":
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    call: grpc.Future[predict_pb2.PredictResponse] = stub.Predict.future(echo_request(), timeout=timeout)
    return call


def status_of(call: "grpc.Future[predict_pb2.PredictResponse]") -> grpc.StatusCode | None:
    """Waits for the end of the call. Returns the status of its failure, or None if it succeeded."""
    error = call.exception()
    assert error is None or isinstance(error, grpc.RpcError)
    return error.code() if error else None


def wait_for_status(channel: grpc.Channel, expected: dict[int, int]) -> get_model_status_pb2.GetModelStatusResponse:
    """Requests the status until it is `expected`, at most 10,000 times."""
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "emotions"})
    for _ in range(10_000):
        response = stub.GetModelStatus(request, timeout=10)
        if {status.version: status.state for status in response.model_version_status} == expected:
            return response
    raise AssertionError(f"expected the versions {expected}, found {response}")


def test_n_threads_run_n_minus_1_calls_and_health_checks_need_none(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    loader = FakeLoader()
    with serving(tmp_path, loader, threads=3) as (_, channel):
        (servable,) = loader.loaded
        servable.gate.clear()
        running = [start_call(channel) for _ in range(2)]
        for _ in running:
            servable.entered.acquire()
        for _ in range(20):
            refused = start_call(channel).exception()
            assert isinstance(refused, grpc.RpcError)
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.details() == "Server Threadpool Exhausted"
        with pytest.raises(grpc.RpcError, match="Server Threadpool Exhausted"):
            model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
                get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "emotions"}), timeout=10
            )
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert health.status == health_pb2.HealthCheckResponse.SERVING

        servable.gate.set()
        assert [call.result().model_spec.version.value for call in running] == [1, 1]
        assert start_call(channel).result().model_spec.version.value == 1


def test_server_listens_once_a_version_is_available(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    settings = Settings("emotions", tmp_path, 2, port=0, grpc_socket_path=path, file_system_poll_wait_seconds=0.02)
    loader = FakeLoader()
    loader.gate.clear()
    server = DevelopmentServer(settings, loader)
    with ThreadPoolExecutor(1) as starter:
        port = starter.submit(server.start)
        write_version(tmp_path, 1)
        loader.entered.acquire()
        assert not path.exists()
        loader.gate.set()
        with grpc.insecure_channel(f"127.0.0.1:{port.result()}") as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            assert status_of(start_call(channel)) is None
    server.stop()


def test_health_stays_serving_without_a_version(tmp_path: Path) -> None:
    folder = write_version(tmp_path, 1)
    with serving(tmp_path, FakeLoader()) as (_, channel):
        folder.rename(tmp_path / "away")
        wait_for_status(channel, {1: END})
        assert status_of(start_call(channel)) is grpc.StatusCode.NOT_FOUND
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_server_without_a_version_that_loads_does_not_start(tmp_path: Path) -> None:
    write_version(tmp_path, 1, broken=True)
    settings = Settings("emotions", tmp_path, 2, port=0, load_retry_interval_micros=-1)
    server = DevelopmentServer(settings, FakeLoader())
    with pytest.raises(StartError, match="no version of the model emotions became available"):
        server.start()
    server.stop()


def test_status_reports_why_a_version_failed_to_load(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    with serving(tmp_path, FakeLoader()) as (_, channel):
        write_version(tmp_path, 2, broken=True)
        failed = wait_for_status(channel, {2: END, 1: AVAILABLE}).model_version_status[0]
        assert failed.status.error_code == grpc.StatusCode.DATA_LOSS.value[0]
        assert "is broken" in failed.status.error_message
        assert start_call(channel).result().model_spec.version.value == 1


def test_new_versions_under_load_fail_no_call(
    tmp_path: Path, install: Callable[[Path, int], None], make_request: Callable[..., predict_pb2.PredictRequest]
) -> None:
    versions = range(1, 6)
    install(tmp_path, versions[0])
    with serving(tmp_path, SavedModelLoader(1, 1), threads=16) as (_, channel):
        done = threading.Event()

        def call_until_done() -> list[int]:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answered = []
            while not done.is_set():
                answered.append(stub.Predict(make_request(), timeout=30).model_spec.version.value)
            return answered

        with ThreadPoolExecutor(4) as callers:
            calls: list[Future[list[int]]] = [callers.submit(call_until_done) for _ in range(4)]
            try:
                for version in versions[1:]:
                    install(tmp_path, version)
                    wait_for_status(channel, dict.fromkeys(range(1, version), END) | {version: AVAILABLE})
                final = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(make_request(), timeout=30)
            finally:
                done.set()
        assert final.model_spec.version.value == versions[-1]
        for call in calls:
            answered = call.result()  # raises the error of a failed call
            assert answered == sorted(answered), "no answer of an older version after a newer one"


def test_error_names_a_port_in_use(sockets: tuple[str, str], tmp_path: Path) -> None:
    port = int(sockets[0].rpartition(":")[2])
    write_version(tmp_path, 1)
    server = DevelopmentServer(Settings("emotions", tmp_path, grpc_max_threads=2, port=port), FakeLoader())
    with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}.*--port"):
        server.start()
    server.stop()


def test_socket_of_a_killed_server_is_replaced(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    write_version(tmp_path, 1)
    path = tmp_path_factory.mktemp("s") / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    settings = Settings("emotions", tmp_path, grpc_max_threads=2, port=0, grpc_socket_path=path)
    server = DevelopmentServer(settings, FakeLoader())
    server.start()
    with grpc.insecure_channel(f"unix:{path}") as channel:
        assert status_of(start_call(channel)) is None
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize("end", ["deadline", "cancellation"])
def test_call_occupies_its_thread_until_its_run_has_ended(tmp_path: Path, end: str) -> None:
    write_version(tmp_path, 1)
    loader = FakeLoader()
    with serving(tmp_path, loader, threads=2) as (_, channel):
        (servable,) = loader.loaded
        servable.gate.clear()
        call = start_call(channel, timeout=0.5 if end == "deadline" else 30)
        servable.entered.acquire()
        if end == "deadline":
            assert status_of(call) is grpc.StatusCode.DEADLINE_EXCEEDED
        else:
            call.cancel()
        assert [status_of(start_call(channel)) for _ in range(10)] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 10

        servable.gate.set()
        for _ in range(10_000):
            if (status := status_of(start_call(channel))) is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                break
        assert status is None, "the thread is free after the run"
