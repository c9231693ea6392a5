"""The command as a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

COMMAND = [sys.executable, "-m", "undertone_dev_server"]


def test_it_serves_until_sigterm(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    install: Callable[[Path, int], None],
    ask: Callable[..., predict_pb2.PredictRequest],
    wait_until_serving: Callable[[grpc.Channel], None],
) -> None:
    install(tmp_path, 1)
    socket = tmp_path_factory.mktemp("s") / "s"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    with subprocess.Popen(
        [*COMMAND, "--model_name=emotions", f"--model_base_path={tmp_path}", "--port=0", f"--grpc_socket_path={socket}"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "gRPC on" in line:
                    break
            port = re.search(r"127\.0\.0\.1:(\d+)", lines[-1])
            assert port is not None, lines
            for address in (f"127.0.0.1:{port[1]}", f"unix:{socket}"):
                with grpc.insecure_channel(address) as channel:
                    wait_until_serving(channel)
                    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(ask(), timeout=30)
                    assert response.model_spec.version.value == 1
            process.send_signal(signal.SIGTERM)
            lines += process.stderr
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert not socket.exists()
    assert "stopped" in lines[-1]
    ours = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO undertone_dev_server")
    assert [line for line in lines if not ours.match(line)] == [], "TensorFlow keeps quiet"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_a_signal_while_tensorflow_starts_ends_it_at_once(tmp_path: Path) -> None:
    command = [*COMMAND, "--model_name=emotions", f"--model_base_path={tmp_path}", "--port=0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "starting TensorFlow" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert process.stderr.read() == ""
            assert process.wait(timeout=60) == -signal.SIGTERM
        finally:
            process.kill()


def test_help_teaches() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "models/emotions/1/saved_model.pb" in done.stdout
    assert "--file_system_poll_wait_seconds" in done.stdout


def test_a_mistake_is_a_line_and_status_2() -> None:
    done = run("--model_base_path=x", "--port=-1")
    assert done.returncode == 2
    assert done.stderr.startswith("undertone-dev-server: --port=-1 is not a TCP port")
    assert done.stderr.count("\n") == 1
