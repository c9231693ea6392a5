"""The entrypoint of the batch image. Scripts in place of Spark and Java print their arguments."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).resolve().parents[2] / "docker" / "batch" / "entrypoint.sh"
BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"

EXECUTOR = {
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_ID": "7",
    "SPARK_EXECUTOR_MEMORY": "1024m",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.7",
    "SPARK_EXECUTOR_POD_NAME": "executor-7",
    "SPARK_HOME": "/opt/spark",
    "SPARK_RESOURCE_PROFILE_ID": "0",
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the entrypoint with arguments and environment variables."""
    for program in ("java", "spark-submit", "undertone"):
        (tmp_path / program).write_text('#!/bin/bash\nprintf "%s\\n" "${0##*/}" "$@"\n')
        (tmp_path / program).chmod(0o755)

    def start(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            [ENTRYPOINT, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=path | environment,
            cwd="/",
            timeout=30,
        )

    return start


def test_runs_a_command_with_its_arguments(run: Run) -> None:
    assert run("undertone", "score", "a b.txt").stdout.splitlines() == ["undertone", "score", "a b.txt"]


def test_driver_binds_to_the_address_of_its_pod(run: Run) -> None:
    arguments = run("driver", "--class", "Main", "local:///job.py", SPARK_DRIVER_BIND_ADDRESS="10.0.0.1").stdout.splitlines()
    assert arguments[:3] == ["spark-submit", "--deploy-mode", "client"]
    assert "spark.driver.bindAddress=10.0.0.1" in arguments
    assert arguments[-3:] == ["--class", "Main", "local:///job.py"]


def test_executor_runs_the_backend_of_spark(run: Run) -> None:
    arguments = run("executor", **EXECUTOR).stdout.splitlines()
    assert arguments[:3] == ["java", "-Xms1024m", "-Xmx1024m"]
    assert arguments[arguments.index("-cp") + 1].split(":")[:2] == ["/opt/spark/conf", "/opt/spark/jars/*"]
    flags = arguments[arguments.index(BACKEND) + 1 :]
    assert dict(zip(flags[::2], flags[1::2], strict=True)) == {
        "--driver-url": "spark://CoarseGrainedScheduler@driver:7078",
        "--executor-id": "7",
        "--cores": "2",
        "--app-id": "spark-1",
        "--hostname": "10.0.0.7",
        "--resourceProfileId": "0",
        "--podName": "executor-7",
    }


def test_java_options_keep_order_and_spaces(run: Run) -> None:
    options = {f"SPARK_JAVA_OPT_{n}": f"-Doption{n}=a b" for n in range(12)}
    arguments = run("executor", **EXECUTOR, **options).stdout.splitlines()
    assert arguments[1:13] == [f"-Doption{n}=a b" for n in range(12)]


def test_executor_reports_a_missing_variable(run: Run) -> None:
    done = run("executor", **{name: value for name, value in EXECUTOR.items() if name != "SPARK_DRIVER_URL"})
    assert done.returncode != 0
    assert "SPARK_DRIVER_URL" in done.stderr


def test_decommission_signals_the_java_process_and_waits_for_its_end(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as java, subprocess.Popen(["sleep", "60"]) as other:
        try:
            for process, name in ((java, "java"), (other, "python")):
                (tmp_path / str(process.pid)).mkdir()
                (tmp_path / str(process.pid) / "comm").write_text(f"{name}\n")
            # A folder of a process that has ended.
            (tmp_path / "1").mkdir()
            script = ENTRYPOINT.with_name("decommission.sh")
            with subprocess.Popen([script], env={**os.environ, "PROC": str(tmp_path)}) as running:
                assert java.wait(timeout=30) == -signal.SIGPWR
                assert running.wait(timeout=30) == 0
            assert other.poll() is None
        finally:
            java.kill()
            other.kill()
