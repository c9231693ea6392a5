"""SeaweedFS on this machine: an Iceberg REST catalogue, and S3 for its tables."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from undertone_bench.processes import free_ports
from undertone_client.jobs.catalog import CatalogSettings, CatalogType

from tests.integration.support.processes import ENVIRONMENT, until

PROGRAM: Final = Path(__file__).parents[3] / "build/seaweedfs/bin/weed"

needs_rest_catalog = pytest.mark.skipif(
    not os.access(PROGRAM, os.X_OK), reason="build/seaweedfs does not exist: run .ci/seaweedfs"
)

KEY, SECRET = "access-key", "secret-key"
BUCKET = "lake"

PORTS: Final = (
    *("master.port", "master.port.grpc", "filer.port", "filer.port.grpc", "volume.port", "volume.port.grpc"),
    *("admin.port", "admin.port.grpc", "s3.port.grpc", "s3.port", "s3.port.iceberg"),
)


@contextmanager
def rest_catalog() -> Iterator[CatalogSettings]:
    """The settings of a new catalogue without tables."""
    # The path of pytest's folder may be too long for a Unix socket.
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder, _server(Path(folder)) as settings:
        yield settings


@contextmanager
def _server(folder: Path) -> Iterator[CatalogSettings]:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    options = {
        **ports,
        **dict.fromkeys(("ip", "ip.bind"), "127.0.0.1"),
        **dict.fromkeys(("master.telemetry", "admin.ui", "webdav"), "false"),
        "s3.port.lance": "0",
        "tableBucket": BUCKET,
        "dir": folder,
        "filer.localSocket": folder / "filer",
        "s3.localSocket": folder / "s3",
        "volume.preStopSeconds": 0,
    }
    program = [str(PROGRAM), "mini", *(f"-{name}={value}" for name, value in options.items())]
    environment = ENVIRONMENT | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(program, env=environment, stdout=output, stderr=output) as server:
        try:
            until(lambda: server.poll() is not None or b"All enabled components" in log.read_bytes(), "the catalogue listens")
            assert server.poll() is None, log.read_text()
            uri = f"http://127.0.0.1:{ports['s3.port.iceberg']}"
            yield CatalogSettings(
                CatalogType.REST,
                f"s3://{BUCKET}",
                uri,
                {
                    "oauth2-server-uri": f"{uri}/v1/oauth/tokens",
                    "credential": f"{KEY}:{SECRET}",
                    "s3.endpoint": f"http://127.0.0.1:{ports['s3.port']}",
                    "s3.access-key-id": KEY,
                    "s3.secret-access-key": SECRET,
                    "s3.path-style-access": "true",
                    "s3.region": "us-east-1",
                    "client.region": "us-east-1",
                    "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
                },
            )
        finally:
            server.terminate()  # removes its further sockets
