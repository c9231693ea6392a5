"""Undertone in a session of Spark Connect, with a real server of Spark Connect."""

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from undertone_cli.__main__ import undertone
from undertone_client.testing import EMOTIONS, expected_probabilities

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS
from tests.integration.support.score_table import NAME
from tests.integration.support.spark import ICEBERG_JARS, JAVA_OPTIONS, needs_iceberg, needs_java

pytestmark = [needs_java, needs_iceberg]

PROGRAM = Path(__file__).parent / "support/connect_session.py"


def test_everything_but_the_job_works_with_spark_connect(service: BackgroundService, tmp_path: Path) -> None:
    environment = ENVIRONMENT | {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JAVA_TOOL_OPTIONS": JAVA_OPTIONS,
    }
    text = "A paragraph of the table"
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "a", "text": text}))
    score = ["score", str(tmp_path / "rows.jsonl"), f"--out={tmp_path / 'out'}", "--id-column=id", f"--target={service.target}"]
    published = CliRunner().invoke(undertone, [*score, f"--table={NAME}", f"--warehouse={tmp_path}"])
    assert published.exit_code == 0, published.output
    jars = ",".join(map(str, ICEBERG_JARS))
    program = [sys.executable, str(PROGRAM), service.target, str(tmp_path), jars]
    done = subprocess.run(
        program, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    expected = {"1": [label_of("A paragraph in a frame"), None], "2": [None, "the text is null"]}
    assert result["emotions"] == expected
    assert result["predict"] == expected
    assert result["scores"] == {"a": label_of(text)}
    assert "the session is one of Spark Connect" in result["refusal"]
    assert "start the job with spark-submit" in result["refusal"]


def label_of(text: str) -> str:
    return max(zip(expected_probabilities(text), EMOTIONS, strict=True))[1]
