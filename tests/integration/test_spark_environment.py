"""The packed environment on executors that have no other way to import Undertone."""

import json
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS
from tests.integration.support.spark import JAVA_OPTIONS, needs_java
from tests.integration.support.spark_cluster import cluster

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "build/undertone-spark.tar.gz"
PROGRAM = Path(__file__).parent / "support/packed_environment.py"

pytestmark = [
    needs_java,
    pytest.mark.skipif(not ARCHIVE.exists(), reason="build/undertone-spark.tar.gz does not exist: run make spark-environment"),
]


def test_executors_use_the_packed_environment(service: BackgroundService, tmp_path: Path) -> None:
    submit = Path(pyspark.__file__).parent / "bin/spark-submit"
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
        "spark.pyspark.python": "./environment/bin/python",
        "spark.pyspark.driver.python": sys.executable,
    }
    with cluster(tmp_path) as running:
        options = [option for name, value in settings.items() for option in ("--conf", f"{name}={value}")]
        archive = f"{ARCHIVE}#environment"
        command = [submit, "--master", running.master, "--archives", archive, *options, PROGRAM, service.target]
        environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("PY")}
        environment["SPARK_LOCAL_IP"] = "127.0.0.1"
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert "/environment/lib/" in result["path"]
    assert result["status"] == "OK"
    assert result["label"]
