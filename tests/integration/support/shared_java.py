"""A Java process with Spark that several programs use one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyspark.java_gateway import launch_gateway

from tests.integration.support.processes import TIMEOUT_SECONDS
from tests.integration.support.spark import submit_arguments


@contextmanager
def shared_java(master: str, settings: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment variables by which PySpark uses the Java process, as spark-submit sets them.

    Starting Java and loading Spark's classes takes longer than a run with few paragraphs. The
    programs must not run at the same time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        patch.setenv("PYSPARK_SUBMIT_ARGS", submit_arguments(master, settings))
        gateway = launch_gateway()  # type: ignore[no-untyped-call]
    port, secret = gateway.java_parameters.port, gateway.java_parameters.auth_token
    try:
        yield {"PYSPARK_GATEWAY_PORT": str(port), "PYSPARK_GATEWAY_SECRET": secret}
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()  # ends Java
        gateway.proc.wait(TIMEOUT_SECONDS)
