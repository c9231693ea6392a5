"""Undertone in a session of Spark Connect, with a real server of Spark Connect."""

import json
import subprocess
import sys
from pathlib import Path

from undertone_client.testing import EMOTIONS, expected_probabilities

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS
from tests.integration.support.spark import JAVA_OPTIONS, needs_java

pytestmark = needs_java

PROGRAM = Path(__file__).parent / "support/connect_session.py"


def test_emotions_and_predict_work_with_spark_connect_and_the_job_refuses_it(
    service: BackgroundService, tmp_path: Path
) -> None:
    environment = ENVIRONMENT | {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JAVA_TOOL_OPTIONS": JAVA_OPTIONS,
    }
    program = [sys.executable, str(PROGRAM), service.target, str(tmp_path)]
    done = subprocess.run(
        program, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    label = max(zip(expected_probabilities("A paragraph in a frame"), EMOTIONS, strict=True))[1]
    expected = {"1": [label, None], "2": [None, "the text is null"]}
    assert result["emotions"] == expected
    assert result["predict"] == expected
    assert "the session is one of Spark Connect" in result["refusal"]
    assert "start the job with spark-submit" in result["refusal"]
