from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from undertone_protos.v1 import contract_pb2
from undertone_sidecar.model import Model, read_model
from undertone_sidecar.testing import write_version


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """Two versions, and the first one with another precision."""
    base: Path = tmp_path_factory.mktemp("models") / "emotions"
    executor = ThreadPoolExecutor(1)
    first, second = (
        read_model(write_version(base, version), name="emotions", overlap=8, executor=executor) for version in (1, 2)
    )
    message = contract_pb2.ModelContract()
    message.CopyFrom(first.contract.message)
    message.precision = "bf16"
    return [first, second, replace(first, contract=replace(first.contract, message=message, precision="bf16"))]
