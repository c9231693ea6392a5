import shutil
from pathlib import Path

import grpc
import numpy as np
import pytest
from undertone_dev_server.errors import GraphError, LoadError
from undertone_dev_server.saved_model import SavedModelLoader

load = SavedModelLoader(intra_op_threads=1, inter_op_threads=1)


def test_a_run_that_outlasts_its_time_is_ended(tiny_model: Path) -> None:
    model = load(tiny_model)
    signature = model.signatures["spin"]
    forever = {signature.inputs["count"].name: np.array(2**31 - 1, np.int32)}
    with pytest.raises(GraphError) as ended:
        model.run([signature.outputs["count"].name], forever, timeout=0.1)
    assert ended.value.status is grpc.StatusCode.DEADLINE_EXCEEDED
    model.close()


def test_damage_is_a_load_error_that_says_where(tiny_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_model, damaged)
    (damaged / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(LoadError, match=r"damaged.*saved_model\.pb") as refused:
        load(damaged)
    assert refused.value.status is grpc.StatusCode.DATA_LOSS


def test_missing_variables_are_a_load_error(tiny_model: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(tiny_model, half)
    shutil.rmtree(half / "variables")
    with pytest.raises(LoadError, match="variables"):
        load(half)


def test_cut_off_variables_are_a_load_error(tiny_model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(tiny_model, cut)
    for data in (cut / "variables").glob("variables.data*"):
        data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(LoadError):
        load(cut)


def test_a_folder_without_a_graph_is_a_load_error(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="saved_model"):
        load(tmp_path)
