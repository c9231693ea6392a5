"""The command in a process of its own."""

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
from undertone_dev_server.settings import recommended_environment

COMMAND = [sys.executable, "-m", "undertone_dev_server"]


def test_server_runs_until_sigterm_which_ends_it_at_once(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    install: Callable[[Path, int], None],
    make_request: Callable[..., predict_pb2.PredictRequest],
) -> None:
    install(tmp_path, 1)
    socket = tmp_path_factory.mktemp("s") / "s"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    with subprocess.Popen(
        [
            *(*COMMAND, "--model_name=emotions", f"--model_base_path={tmp_path}"),
            *("--port=0", f"--grpc_socket_path={socket}", "--load_retry_interval_micros=-1"),
        ],
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
                    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(make_request(), timeout=30)
                    assert response.model_spec.version.value == 1
            process.send_signal(signal.SIGTERM)
            lines += process.stderr
            assert process.wait(timeout=60) == -signal.SIGTERM
        finally:
            process.kill()
    own_line = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO undertone_dev_server")
    assert [line for line in lines if not own_line.match(line)] == [], "no messages of TensorFlow"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_signal_during_the_import_of_tensorflow_ends_the_process(tmp_path: Path) -> None:
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


def test_help_describes_the_folders_and_options() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "models/emotions/1/saved_model.pb" in done.stdout
    assert "--file_system_poll_wait_seconds" in done.stdout


def test_invalid_option_prints_one_line_and_exits_with_2() -> None:
    done = run("--model_base_path=x", "--port=-1")
    assert done.returncode == 2
    assert done.stderr.startswith("undertone-dev-server: Invalid value for '--port'")
    assert done.stderr.count("\n") == 1


def test_tensorflow_is_imported_with_its_environment_without_keras_and_garbage_collection() -> None:
    """TensorFlow reads its variables once, and imports Keras if it can."""
    script = (
        "import gc, os, sys; from undertone_dev_server import __main__ as m\n"
        "class Import:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'tensorflow':\n"
        "            variable = os.environ['TF_ONEDNN_ASSUME_FROZEN_WEIGHTS']\n"
        "            sys.exit(f'{variable} {sys.modules[\"keras\"]} {gc.isenabled()}')\n"
        "sys.meta_path.insert(0, Import()); m.main(['--model_base_path=/nowhere'])"
    )
    variables = {name: value for name, value in os.environ.items() if name not in recommended_environment()}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1:] == ["1 None False"], done.stderr
