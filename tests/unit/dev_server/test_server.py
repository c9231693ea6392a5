"""Life of a server: places for calls, health, versions that change under load, start and stop."""

import math
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import cast

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
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.model import Model
from undertone_dev_server.model_config import ModelConfig
from undertone_dev_server.registry import Registry
from undertone_dev_server.saved_model import SavedModelLoader
from undertone_dev_server.servable import Loader
from undertone_dev_server.server import ModelServer
from undertone_dev_server.services import PredictionService
from undertone_dev_server.settings import Settings
from undertone_dev_server.testing import FakeLoader, write_version

AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
END = get_model_status_pb2.ModelVersionStatus.END


@contextmanager
def serving(base_path: Path, load: Loader, *, threads: int = 8) -> Iterator[tuple[ModelServer, grpc.Channel]]:
    model = ModelConfig("emotions", base_path)
    server = ModelServer(Settings((model,), grpc_max_threads=threads, port=0, file_system_poll_wait_seconds=0.02), load)
    bound = server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{bound}") as channel:
            yield server, channel
    finally:
        server.stop(grace_seconds=0)


def echo_request() -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "emotions"})
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1, 2], dtype=tf.int32))
    return request


def call_later(channel: grpc.Channel) -> "grpc.Future[predict_pb2.PredictResponse]":
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    call: grpc.Future[predict_pb2.PredictResponse] = stub.Predict.future(echo_request(), timeout=30)
    return call


def wait_for_status(channel: grpc.Channel, wanted: dict[int, int]) -> get_model_status_pb2.GetModelStatusResponse:
    """Asks for the status until it is `wanted`; the test's own time limit ends a wait in vain."""
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "emotions"})
    for _ in range(10_000):
        response = stub.GetModelStatus(request, timeout=10)
        if {entry.version: entry.state for entry in response.model_version_status} == wanted:
            return response
    raise AssertionError(f"the versions did not come to {wanted}: {response}")


def test_calls_beyond_the_limit_are_refused_and_health_is_not(
    tmp_path: Path, wait_until_serving: Callable[[grpc.Channel], None]
) -> None:
    write_version(tmp_path, 1)
    loader = FakeLoader()
    with serving(tmp_path, loader, threads=2) as (_, channel):
        wait_until_serving(channel)
        (servable,) = loader.loaded
        servable.gate.clear()
        running = [call_later(channel) for _ in range(2)]
        for _ in running:
            servable.entered.acquire()
        for _ in range(20):
            refused = call_later(channel).exception()
            assert isinstance(refused, grpc.RpcError)
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.details() == "Server Threadpool Exhausted"
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert health.status == health_pb2.HealthCheckResponse.SERVING

        servable.gate.set()
        assert [call.result().model_spec.version.value for call in running] == [1, 1]
        assert call_later(channel).result().model_spec.version.value == 1, "there is room again"


def test_health_follows_the_versions(tmp_path: Path) -> None:
    with serving(tmp_path / "emotions", FakeLoader()) as (_, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        write_version(tmp_path / "emotions", 1)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING


def test_before_a_version_is_there_calls_are_not_found(tmp_path: Path) -> None:
    with serving(tmp_path / "emotions", FakeLoader()) as (_, channel):
        refused = call_later(channel).exception()
        assert isinstance(refused, grpc.RpcError)
        assert refused.code() is grpc.StatusCode.NOT_FOUND


def test_the_status_tells_why_a_version_is_not_served(
    tmp_path: Path, wait_until_serving: Callable[[grpc.Channel], None]
) -> None:
    write_version(tmp_path, 1)
    with serving(tmp_path, FakeLoader()) as (_, channel):
        wait_until_serving(channel)
        write_version(tmp_path, 2, broken=True)
        failed = wait_for_status(channel, {2: END, 1: AVAILABLE}).model_version_status[0]
        assert failed.status.error_code == grpc.StatusCode.DATA_LOSS.value[0]
        assert "is broken" in failed.status.error_message
        assert call_later(channel).result().model_spec.version.value == 1


def test_stopping_says_so_at_once_and_lets_calls_end(
    tmp_path: Path, wait_until_serving: Callable[[grpc.Channel], None]
) -> None:
    write_version(tmp_path, 1)
    loader = FakeLoader()
    with serving(tmp_path, loader) as (server, channel):
        wait_until_serving(channel)
        (servable,) = loader.loaded
        servable.gate.clear()
        running = call_later(channel)
        servable.entered.acquire()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING

        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not running.done()
        servable.gate.set()
        assert running.result().model_spec.version.value == 1
        stopping.join()  # long before the 30 s are over, though the watch is still open
        assert servable.times_closed == 1
        assert not servable.closed_while_running


def test_hot_swaps_under_load_lose_no_call(
    tmp_path: Path,
    install: Callable[[Path, int], None],
    ask: Callable[..., predict_pb2.PredictRequest],
    wait_until_serving: Callable[[grpc.Channel], None],
) -> None:
    versions = range(1, 6)
    install(tmp_path, versions[0])
    with serving(tmp_path, SavedModelLoader(1, 1), threads=16) as (_, channel):
        wait_until_serving(channel)
        done = threading.Event()

        def call_on() -> list[int]:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            seen = []
            while not done.is_set():
                seen.append(stub.Predict(ask(), timeout=30).model_spec.version.value)
            return seen

        with ThreadPoolExecutor(4) as callers:
            calls: list[Future[list[int]]] = [callers.submit(call_on) for _ in range(4)]
            try:
                for version in versions[1:]:
                    install(tmp_path, version)
                    wait_for_status(channel, dict.fromkeys(range(1, version), END) | {version: AVAILABLE})
                final = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(ask(), timeout=30)
            finally:
                done.set()
        assert final.model_spec.version.value == versions[-1]
        for call in calls:
            seen = call.result()  # raises what a call raised
            assert seen == sorted(seen), "no caller went back to an older version"


def test_a_taken_port_is_named(sockets: tuple[str, str]) -> None:
    port = int(sockets[0].rpartition(":")[2])
    with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}.*--port"):
        ModelServer(Settings((), grpc_max_threads=1, port=port), FakeLoader()).start()


def test_a_socket_that_a_killed_server_left_is_taken_over(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = ModelServer(Settings((), grpc_max_threads=1, port=0, grpc_socket_path=path), FakeLoader())
    server.start()
    with grpc.insecure_channel(f"unix:{path}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    server.stop(grace_seconds=0)
    assert not path.exists()


@pytest.mark.parametrize(("remaining", "active"), [(0.0, True), (5.0, False), (math.inf, False)])
def test_a_call_whose_deadline_or_caller_has_gone_is_not_run(tmp_path: Path, remaining: float, active: bool) -> None:
    write_version(tmp_path, 1)
    loader = FakeLoader()
    model = Model(ModelConfig("emotions", tmp_path), loader)
    model.reconcile()

    class Aborted(Exception):  # noqa: N818
        pass

    class LateContext:
        """Of a call that waited for its turn too long."""

        def time_remaining(self) -> float:
            return remaining

        def is_active(self) -> bool:
            return active

        def abort(self, code: grpc.StatusCode, details: str) -> None:
            raise Aborted(code, details)

    with pytest.raises(Aborted, match="DEADLINE_EXCEEDED"):
        PredictionService(Registry([model])).Predict(echo_request(), cast("grpc.ServicerContext", LateContext()))
    assert not loader.loaded[0].entered.acquire(blocking=False)
