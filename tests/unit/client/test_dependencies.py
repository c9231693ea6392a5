"""The library alone needs gRPC, protobuf and this project's protos."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3] / "services/client/pyproject.toml"
OPTIONAL = ("undertone_telemetry", "click", "pyarrow", "opentelemetry", "pandas", "numpy", "prometheus_client")

PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "module", ["undertone_client", "undertone_client.sync", "undertone_client.testing", "undertone_client.testing.__main__"]
)
def test_importing_the_library_imports_no_optional_dependency(module: str) -> None:
    command = [sys.executable, "-c", PROGRAM, module]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert {"undertone_client", "grpc"} <= set(imported)
    assert not set(OPTIONAL) & set(imported)


def test_the_library_requires_only_grpc_protobuf_and_the_protos() -> None:
    requirements = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    names = {requirement.partition(">")[0] for requirement in requirements}
    assert names == {"undertone-protos", "grpcio", "protobuf"}
