"""A sidecar whose files do not match the served model does not start, and names the problem."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Pod
from tests.integration.support.processes import NOT_SERVING, Launcher

Contract = dict[str, object]


def change(folder: Path, edit: Callable[[Contract], object]) -> None:
    path = folder / "contract.json"
    contract = json.loads(path.read_text())
    edit(contract)
    path.write_text(json.dumps(contract))


def truncated_contract(folder: Path) -> None:
    path = folder / "contract.json"
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def another_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"rain"', '"hail"'))


def fewer_labels(folder: Path) -> None:
    def edit(contract: Contract) -> None:
        contract["labels"] = ["joy", "sadness", "anger"]
        contract["outputs"] = [{"name": "probabilities", "dtype": "float32", "shape": ["-1", "3"]}]

    change(folder, edit)


def another_version(folder: Path) -> None:
    change(folder, lambda contract: contract.update(version="7"))


def other_inputs(folder: Path) -> None:
    change(folder, lambda contract: contract.update(inputs=[{"name": "ids", "dtype": "int64", "shape": ["-1", "-1"]}]))


@pytest.mark.parametrize(
    ("damage", "messages"),
    [
        (truncated_contract, ("contract.json", "is not a model contract", "export the model again")),
        (another_tokenizer, ("tokenizer.json", "SHA-256", "restore the tokenizer of the export")),
        (fewer_labels, ("'probabilities' as float32[-1, 9], expected float32[-1, 3]", "contain the same export")),
        (another_version, ("contract.json", "is for version 7, but is in the folder of version 1")),
        (other_inputs, ("contract.json", "has no input 'input_ids' (it has ['ids'])")),
    ],
)
def test_a_wrong_contract_stops_the_sidecar_with_the_reason(
    pod: Pod, launch: Launcher, tmp_path: Path, damage: Callable[[Path], None], messages: tuple[str, ...]
) -> None:
    folder = tmp_path / "emotions"
    shutil.copytree(pod.base, folder)
    damage(folder / "1")
    sidecar = launch.sidecar(folder, pod.model_server.target)
    assert sidecar.wait() == 3
    reason = sidecar.log.splitlines()[-1]
    assert reason.startswith("undertone-sidecar: ")
    assert all(message in reason for message in messages), reason
    assert "Traceback" not in sidecar.log


def test_the_sidecar_waits_for_a_version_that_the_model_server_has(pod: Pod, launch: Launcher, tmp_path: Path) -> None:
    folder = tmp_path / "emotions"
    shutil.copytree(pod.base / "1", folder / "8")
    change(folder / "8", lambda contract: contract.update(version="8"))
    sidecar = launch.sidecar(folder, pod.model_server.target).until_listening()
    sidecar.until(
        lambda: "no version of the model emotions is ready in the model server and present in" in sidecar.log,
        "the log says that no version is ready",
    )
    assert sidecar.health() == NOT_SERVING
    shutil.copytree(pod.base / "1", folder / "1")
    sidecar.until_serving()
