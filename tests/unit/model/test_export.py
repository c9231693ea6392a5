"""Exports: the folder, the contract and the graph, run through a Session as TF Serving runs it."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import softmax
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2
from undertone_model import encoder, export, serving, sources
from undertone_model.adapters import load as load_adapters
from undertone_model.adapters import merge
from undertone_model.batches import pad
from undertone_model.checkpoint import base_folder, load
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError, ExportError
from undertone_model.goldens import Goldens
from undertone_model.testing import tiny_checkpoint

# The newest of these is DisableCopyOnRead, of TensorFlow 2.13; TF Serving 2.19 has all of them. The graph is written by a newer
# TensorFlow than the one that runs it, so a new operation belongs here only after the runtime's registry is seen to have it.
GRAPH = {
    *("AddV2", "BatchMatMulV2", "BiasAdd", "Cast", "Const", "EnsureShape", "Erfc", "Fill", "FusedBatchNormV3", "Identity"),
    *("MatMul", "Mul", "Neg", "NoOp", "Pack", "Placeholder", "ReadVariableOp", "Reshape", "ResourceGather", "Shape", "Softmax"),
    *("StatefulPartitionedCall", "StridedSlice", "Sub", "Tanh", "Transpose", "VarHandleOp"),
}
SAVING = {
    *("AssignVariableOp", "DisableCopyOnRead", "MergeV2Checkpoints", "RestoreV2", "SaveV2", "Select", "ShardedFilename"),
    *("StaticRegexFullMatch", "StringJoin"),
}


class Run:
    """A SavedModel in a Session."""

    def __init__(self, folder: Path) -> None:
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        meta_graph = tf.compat.v1.saved_model.load(self.session, ["serve"], str(folder))
        self.signature = meta_graph.signature_def["serving_default"]

    def __call__(self, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        inputs = self.signature.inputs
        feed = {inputs["input_ids"].name: ids, inputs["attention_mask"].name: mask}
        found: NDArray[np.float32] = self.session.run(self.signature.outputs["probabilities"].name, feed)
        return found


@pytest.fixture(scope="module")
def run(exported: Path) -> Iterator[Run]:
    run = Run(exported)
    yield run
    run.session.close()


@pytest.fixture
def _no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the graph out, which takes seconds to write, where only the folders matter."""
    monkeypatch.setattr(tf.saved_model, "save", lambda _module, folder, **_: (Path(folder) / "saved_model.pb").touch())


def contract_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "contract.json").read_text())
    return found


def test_the_folder_has_what_server_and_sidecar_read(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} >= {"saved_model.pb", "variables", "tokenizer.json", "contract.json"}


def test_the_contract_says_all_of_it(exported: Path, tiny: Path) -> None:
    contract = contract_of(exported)
    assert contract.pop("created_at").endswith("Z")
    assert contract.pop("producer").startswith("undertone-model ")
    assert contract == {
        "name": "tiny",
        "version": "1",
        "labels": list(EMOTIONS),
        "tokenizer_sha256": hashlib.sha256((exported / "tokenizer.json").read_bytes()).hexdigest(),
        "max_tokens": 64,
        "inputs": [
            {"name": "input_ids", "dtype": "int32", "shape": ["-1", "-1"]},
            {"name": "attention_mask", "dtype": "int32", "shape": ["-1", "-1"]},
        ],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": ["-1", "9"]}],
        "precision": "fp32",
        "architecture": {
            "type": "bert",
            "layers": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "attention_heads": 4,
            "vocabulary_size": 112,
            "pooling": "cls",
            "encoder_parameters": str(2 * (4 * 32 * 32 + 2 * 32 * 64)),
        },
        "calibration": {"temperature": 1.0},
        "weights_sha256": hashlib.sha256((tiny / "model.safetensors").read_bytes()).hexdigest(),
    }


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 3), (1, 64), (2, 17), (7, 5), (32, 40)])
def test_any_batch_and_length_is_answered_as_the_encoder_does(run: Run, tiny: Path, rows: int, length: int) -> None:
    checkpoint = load(tiny)
    random = np.random.default_rng(rows)
    ids = random.integers(0, 112, (rows, length)).astype(np.int32)
    mask = (np.arange(length) < random.integers(1, length + 1, (rows, 1))).astype(np.int32)
    logits = encoder.logits(checkpoint.weights, checkpoint.architecture, ids, mask).numpy()
    found = run(ids, mask)
    assert found.dtype == np.float32
    assert found == pytest.approx(softmax(logits, axis=1), abs=1e-5)


def test_the_graph_agrees_with_pytorch(run: Run, tiny_goldens: Goldens) -> None:
    batch = pad(tiny_goldens.input_ids, range(len(tiny_goldens.input_ids)))
    expected = softmax(tiny_goldens.logits, axis=1)
    assert run(batch.input_ids, batch.attention_mask) == pytest.approx(expected, abs=1e-5)


def test_a_sequence_longer_than_the_model_is_an_error_of_the_caller(run: Run) -> None:
    ids = np.ones((1, 65), np.int32)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(ids, ids)


def test_the_graph_uses_operations_of_the_serving_runtime_only(exported: Path) -> None:
    (meta_graph,) = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes()).meta_graphs
    functions = (function.node_def for function in meta_graph.graph_def.library.function)
    used = {node.op for nodes in (meta_graph.graph_def.node, *functions) for node in nodes}
    assert used - GRAPH - SAVING == set()
    # So that an attribute that only the newer TensorFlow knows is left out where it has its default.
    assert meta_graph.meta_info_def.stripped_default_attrs


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's fusions are those of x86-64")
def test_the_runtime_fuses_all_that_onednn_can(run: Run) -> None:
    ids = np.ones((4, 16), np.int32)
    inputs, metadata = run.signature.inputs, tf.compat.v1.RunMetadata()
    run.session.run(
        run.signature.outputs["probabilities"].name,
        {inputs["input_ids"].name: ids, inputs["attention_mask"].name: ids},
        options=tf.compat.v1.RunOptions(output_partition_graphs=True),
        run_metadata=metadata,
    )
    nodes = [node for graph in metadata.partition_graphs for node in graph.node]
    operations = Counter(node.op for node in nodes)
    fused = Counter(b"+".join(node.attr["fused_ops"].list.s).decode() for node in nodes if "fused_ops" in node.attr)
    assert operations["_MklLayerNorm"] == 1 + 2 * 2
    assert operations["_MklNativeFusedMatMul"] == 2 * 6 + 2
    assert operations.keys().isdisjoint({"FusedBatchNormV3", "MatMul", "BiasAdd", "Erfc", "Tanh"})
    # Queries, keys, values and the head; attention's scale and mask; the sums before the layer norms.
    assert fused == {"BiasAdd": 2 * 3 + 1, "Mul+Add": 2, "BiasAdd+Add": 2 * 2, "BiasAdd+GeluExact": 2, "BiasAdd+Tanh": 1}


@pytest.mark.usefixtures("_no_graph")
def test_versions_count_up_and_may_be_chosen(tiny: Path, tmp_path: Path) -> None:
    source = sources.from_folder(tiny)
    assert export.export(source, tmp_path, "m", number=9) == tmp_path / "m" / "9"
    assert export.export(source, tmp_path, "m", max_tokens=32) == tmp_path / "m" / "10"
    assert contract_of(tmp_path / "m" / "10")["version"] == "10"
    assert contract_of(tmp_path / "m" / "10")["max_tokens"] == 32
    with pytest.raises(ExportError, match=r"m/9 exists; choose another --version"):
        export.export(source, tmp_path, "m", number=9)


@pytest.mark.parametrize("limit", [-1, 0, 2, 65])
def test_a_limit_that_the_model_does_not_have_is_refused(tiny: Path, tmp_path: Path, limit: int) -> None:
    with pytest.raises(ExportError, match=rf"--max-tokens {limit} is not between 3 and 64"):
        export.export(sources.from_folder(tiny), tmp_path, "m", max_tokens=limit)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../m", "a/b", ".hidden", "two words"])
def test_a_name_that_is_no_folder_is_refused(tiny: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="cannot name a folder and a model"):
        export.export(sources.from_folder(tiny), tmp_path, name)


def test_a_folder_that_cannot_be_written_is_named(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match=r"file/m/1 cannot be written: Not a directory"):
        export.export(sources.from_folder(tiny), tmp_path / "file", "m")


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (tf.errors.ResourceExhaustedError(None, None, "disk full"), ExportError)],
)
def test_a_server_never_sees_half_an_export(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, raised: type[BaseException]
) -> None:
    seen: list[str] = []

    def interrupted(_module: tf.Module, folder: str, **_: object) -> None:
        (Path(folder) / "saved_model.pb").write_bytes(b"half")
        seen.extend(path.name for path in (tmp_path / "m").iterdir())
        raise failure

    monkeypatch.setattr(tf.saved_model, "save", interrupted)
    with pytest.raises(raised):
        export.export(sources.from_folder(tiny), tmp_path, "m")
    assert len(seen) == 1
    assert not seen[0].isdecimal()
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.usefixtures("_no_graph")
def test_what_a_killed_export_left_behind_is_overwritten(tiny: Path, tmp_path: Path) -> None:
    left = tmp_path / "m" / ".1.writing"
    left.mkdir(parents=True)
    (left / "rubbish").touch()
    folder = export.export(sources.from_folder(tiny), tmp_path, "m")
    assert folder == tmp_path / "m" / "1"
    assert not (folder / "rubbish").exists()
    assert not left.exists()


def test_our_own_model_is_the_base_with_adapters_and_calibration(tiny: Path, tiny_adapters: Path, tmp_path: Path) -> None:
    source = sources.from_adapters(str(tiny), "stories", tiny_adapters)
    folder = export.export(source, tmp_path, "emotions")
    contract, adapters, checkpoint = contract_of(folder), load_adapters(tiny_adapters), load(tiny)
    bias = np.array([0.0] * 8 + [-0.75])
    assert contract["calibration"] == {"temperature": 1.5, "bias": bias.tolist(), "prior": "stories"}
    assert contract["weights_sha256"] == adapters.sha256
    assert contract["training_data"] == [{"name": "stories/train", "license": "Apache-2.0", "rows": 7, "sha256": "ab" * 32}]
    assert contract["scores"] == [{"data": "stories/test@stories", "metric": "accuracy", "value": 0.5}]

    ids = np.array([[1, 2, 3, 4, 5], [9, 8, 7, 0, 0]], np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
    logits = encoder.logits(merge(checkpoint.weights, adapters.tensors), checkpoint.architecture, ids, mask).numpy()
    run = Run(folder)
    assert run(ids, mask) == pytest.approx(softmax((logits + bias) / 1.5, axis=1), abs=1e-5)
    run.session.close()


def test_adapters_of_another_base_are_refused(tiny_adapters: Path, tmp_path: Path) -> None:
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(CheckpointError, match=r"model\.safetensors .* is not the base that the adapters were trained on"):
        sources.from_adapters(str(other), "stories", tiny_adapters)


def test_a_prior_that_the_adapters_do_not_have_is_named(tiny: Path, tiny_adapters: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no prior 'poems'; the adapters of .* have comments, stories"):
        sources.from_adapters(str(tiny), "poems", tiny_adapters)


def test_a_checkpoint_without_a_head_is_refused() -> None:
    folder = base_folder(None)
    with pytest.raises(CheckpointError, match=r"has no classifier\.weight; export needs a BertForSequenceClassification"):
        sources.from_folder(folder)


def test_random_weights_have_the_shapes_of_their_size_and_no_zero_biases() -> None:
    source = sources.random("minilm")
    weights = source.checkpoint.weights
    assert {
        name: weights[name].shape for name in source.checkpoint.architecture.shapes()
    } == source.checkpoint.architecture.shapes()
    assert len(source.checkpoint.labels) == 9
    assert source.weights_sha256 == ""
    assert all(np.any(array) for name, array in weights.items() if name.endswith(".bias"))
    assert weights["embeddings.LayerNorm.weight"].mean() == pytest.approx(1, abs=0.01)


def test_sizes_have_the_parameters_that_their_papers_name() -> None:
    millions = {name: size.encoder_parameters() / 1e6 for name, size in sources.ARCHITECTURES.items()}
    assert millions == {
        name: pytest.approx(size, abs=0.1) for name, size in (("minilm", 10.6), ("bert-base", 84.9), ("bert-large", 302.0))
    }


def test_temperature_and_bias_are_optional(tiny: Path) -> None:
    source = sources.from_folder(tiny)
    plain = serving.calibrated(source)
    assert np.array_equal(plain["classifier.weight"], source.checkpoint.weights["classifier.weight"])
    cooler = serving.calibrated(replace(source, temperature=2.0, bias=(1.0,) * 9))
    assert cooler["classifier.bias"] == pytest.approx((plain["classifier.bias"] + 1) / 2)


def test_brings_requests_that_warm_up_the_model_server(exported: Path) -> None:
    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in tf.compat.v1.io.tf_record_iterator(str(path))]
    shapes = []
    for log in logs:
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in log.predict_log.request.inputs.items()}
        assert {name: array.dtype for name, array in inputs.items()} == {"input_ids": np.int32, "attention_mask": np.int32}
        assert inputs["input_ids"].shape == inputs["attention_mask"].shape
        shapes.append(inputs["input_ids"].shape)
    assert shapes == [(1, 16), (1, 64)]
