"""The estimate of the model server's memory."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.v1 import contract_pb2
from undertone_sidecar.contract import Contract, read_contract
from undertone_sidecar.errors import ContractError
from undertone_sidecar.memory import SERVER_BYTES, MemoryEstimate, MemorySettings, estimate_memory
from undertone_sidecar.testing import write_version

GIB = 2**30
BERT_BASE = contract_pb2.Architecture(
    type="bert", layers=12, hidden_size=768, intermediate_size=3072, attention_heads=12, vocabulary_size=30522
)
SHAPE = {"max_tokens": 512, "batch_tokens": 2048, "calls": 2}


def estimate(architecture: contract_pb2.Architecture = BERT_BASE, **changes: int) -> MemoryEstimate:
    found = estimate_memory(architecture, precision="fp32", **(SHAPE | changes))
    assert found
    return found


def contract(folder: Path, architecture: contract_pb2.Architecture = BERT_BASE, max_tokens: int = 512) -> Contract:
    """A contract with an architecture, which the files of the tests do not have."""
    found = read_contract(write_version(folder / "emotions", 1), name="emotions")
    message = contract_pb2.ModelContract()
    message.CopyFrom(found.message)
    message.architecture.CopyFrom(architecture)
    return replace(found, message=message, max_tokens=max_tokens)


sizes = st.fixed_dictionaries(
    {
        "layers": st.integers(1, 48),
        "hidden_size": st.integers(64, 2048),
        "intermediate_size": st.integers(64, 8192),
        "attention_heads": st.integers(1, 32),
        "vocabulary_size": st.integers(1, 250_000),
    }
)


@given(sizes, st.integers(16, 8192), st.integers(16, 16384), st.integers(1, 64), st.sampled_from([*SHAPE, "layers"]))
def test_more_of_anything_needs_more_memory(
    architecture: dict[str, int], max_tokens: int, batch_tokens: int, calls: int, larger: str
) -> None:
    shape = {"max_tokens": max_tokens, "batch_tokens": batch_tokens, "calls": calls}
    small, more = dict(architecture), dict(shape)
    (small if larger == "layers" else more)[larger] += 1
    first = estimate(ParseDict(architecture, contract_pb2.Architecture()), **shape)
    second = estimate(ParseDict(small, contract_pb2.Architecture()), **more)
    assert second.total >= first.total
    if larger != "batch_tokens" or batch_tokens >= max_tokens:
        assert second.total > first.total
    assert first.total > SERVER_BYTES


def test_the_estimate_of_bert_base() -> None:
    found = estimate()
    # 85 million weights of linear layers, twice, 23.8 million of embeddings, and the graph.
    assert found.weights == pytest.approx(1.1 * 4 * (2 * 84.9e6 + 23.8e6) + 64 * 2**20, rel=0.01)
    # The scores of 4 x 512 tokens are 50 MB.
    assert found.call == pytest.approx(2 * 50.3e6 + 4 * 2048 * (6 * 768 + 3 * 3072), rel=0.01)
    assert str(found) == "1.44 GiB (weights 0.86 GiB, 2 calls of 0.20 GiB, TF Serving 0.19 GiB)"


MINILM = contract_pb2.Architecture(
    type="bert", layers=6, hidden_size=384, intermediate_size=1536, attention_heads=12, vocabulary_size=30522
)


def base_layers(family: str, layers: int, intermediate_size: int = 3072, parameters: int = 0) -> contract_pb2.Architecture:
    """A model with layers of the size of BERT-base."""
    return contract_pb2.Architecture(
        type=family,
        layers=layers,
        hidden_size=768,
        intermediate_size=intermediate_size,
        attention_heads=12,
        vocabulary_size=30522,
        encoder_parameters=parameters,
    )


MODERNBERT = base_layers("modernbert", 7, 1152, 35_094_528)
MPNET, DEBERTA = base_layers("mpnet", 3), base_layers("deberta-v2", 3)


@pytest.mark.parametrize(
    ("architecture", "precision", "calls", "measured"),
    [
        (MINILM, "fp32", 1, {"128x16": 205, "16x128": 217, "4x512": 257, "2x1024": 361, "1x2048": 459, "1x4096": 1260}),
        (MINILM, "fp32", 2, {"16x128": 243, "4x512": 347, "1x2048": 697}),
        (MINILM, "bf16", 1, {"16x128": 167, "4x512": 230, "1x2048": 456}),
        (BERT_BASE, "fp32", 1, {"128x16": 915, "16x128": 927, "4x512": 965, "2x1024": 1014, "1x2048": 1238, "1x4096": 1815}),
        (MODERNBERT, "fp32", 1, {"4x512": 523, "1x2048": 756, "1x4096": 1557}),
        (MPNET, "fp32", 1, {"16x128": 387, "4x512": 471, "2x1024": 601, "1x2048": 780, "1x4096": 2424}),
        (DEBERTA, "fp32", 1, {"16x128": 484, "4x512": 684}),
    ],
    ids=["minilm", "minilm-2-calls", "minilm-bf16", "bert-base", "modernbert", "mpnet", "deberta"],
)
def test_the_estimate_is_above_the_measured_memory(
    architecture: contract_pb2.Architecture, precision: str, calls: int, measured: Mapping[str, int]
) -> None:
    """MiB by which TensorFlow with the recommended environment grew, by rows x length.

    Measured on two cores of an AMD EPYC with tensorflow-cpu 2.21, random weights, and all shapes of
    a line in one process, as `undertone-bench memory` does.
    """
    for shape, mebibytes in measured.items():
        rows, length = map(int, shape.split("x"))
        found = estimate_memory(architecture, precision=precision, max_tokens=length, batch_tokens=rows * length, calls=calls)
        assert found
        ratio = (found.total - SERVER_BYTES) / 2**20 / mebibytes
        assert 1 <= ratio <= 2.5, (shape, ratio)


def test_weights_in_bf16_take_half_of_the_memory() -> None:
    found = estimate_memory(BERT_BASE, precision="bf16", **SHAPE)
    assert found
    assert estimate().weights - found.weights == pytest.approx(1.1 * 2 * 2 * 12 * 12 * 768 * 768)


def test_the_memory_of_an_unknown_architecture_is_unknown(tmp_path: Path) -> None:
    assert estimate_memory(contract_pb2.Architecture(layers=12), precision="fp32", **SHAPE) is None
    MemorySettings(1, 2048, 2).check(contract(tmp_path, contract_pb2.Architecture()))


def test_a_model_that_fits_is_logged_with_its_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        MemorySettings(2 * GIB, 2048, 2).check(contract(tmp_path))
    assert caplog.messages == [f"the model server needs about {estimate()}"]


@pytest.mark.parametrize(
    ("max_tokens", "batch_tokens", "calls", "limit", "message"),
    [
        (512, 8192, 4, 2.0, "give it at least 4.23 GiB, or use --batch-tokens=2048, or use --model-calls=1, or serve"),
        (8192, 2048, 4, 16.0, "or use --model-calls=2, or export the model with --max-tokens=4096, or serve"),
        (8192, 2048, 2, 3.5, "the model server needs about 13.91 GiB .* its memory is 3.50 GiB .* with --max-tokens=2048"),
        (512, 2048, 2, 0.5, "give it at least 1.44 GiB, or serve a smaller model"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_the_values_that_fit(
    tmp_path: Path, max_tokens: int, batch_tokens: int, calls: int, limit: float, message: str
) -> None:
    settings = MemorySettings(int(limit * GIB), batch_tokens, calls)
    with pytest.raises(ContractError, match=message):
        settings.check(contract(tmp_path, max_tokens=max_tokens))
