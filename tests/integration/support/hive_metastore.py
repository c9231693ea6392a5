"""A Hive metastore on this machine, from the classes that are part of PySpark."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.java_gateway import launch_gateway
from undertone_bench.processes import free_ports

from tests.integration.support.processes import TIMEOUT_SECONDS, until
from tests.integration.support.spark import JAVA_OPTIONS, submit_arguments

THRIFT: Final = str(Path(__file__).parents[3] / "build/hive")

needs_thrift = pytest.mark.skipif(not Path(THRIFT).is_dir(), reason="build/hive does not exist: run .ci/hive")

SETTINGS: Final = {
    "javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
    "datanucleus.connectionPoolingType": "NONE",
    "datanucleus.schema.autoCreateAll": "true",
    "hive.metastore.schema.verification": "false",
}
"""A database in memory, whose tables Hive creates."""


@contextmanager
def hive_metastore(folder: Path) -> Iterator[str]:
    """The address of a new metastore without tables, which puts databases into a folder."""
    [port] = free_ports(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        arguments = submit_arguments(
            "local[1]", {"spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} -Dderby.stream.error.field=java.lang.System.err"}
        )
        patch.setenv("PYSPARK_SUBMIT_ARGS", arguments)
        gateway: Any = launch_gateway()  # type: ignore[no-untyped-call]
    hive = gateway.jvm.org.apache.hadoop.hive
    settings = hive.conf.HiveConf()
    for name, value in (SETTINGS | {"hive.metastore.warehouse.dir": str(folder)}).items():
        settings.set(name, value)

    def serve() -> None:
        with suppress(Py4JError, OSError):  # the end of Java
            hive.metastore.txn.TxnDbUtil.prepDb(settings)  # the tables of locks
            hive.metastore.HiveMetaStore.startMetaStore(port, hive.shims.ShimLoader.getHadoopThriftAuthBridge(), settings)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        until(lambda: not thread.is_alive() or _is_open(port), "the metastore listens")
        assert thread.is_alive(), "the metastore has ended"
        yield f"thrift://127.0.0.1:{port}"
    finally:
        gateway.proc.stdin.close()  # ends Java
        gateway.proc.wait(TIMEOUT_SECONDS)
        gateway.shutdown()


def _is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
