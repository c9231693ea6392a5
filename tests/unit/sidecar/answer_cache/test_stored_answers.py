"""Keys, the stored form, and the memory of answers."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.v1 import classifier_pb2, contract_pb2
from undertone_sidecar.answer_cache import AnswerKeys, MemoryAnswers
from undertone_sidecar.answer_cache.stored_answer import decode, encode
from undertone_sidecar.answers import Classified
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.model import Model

from tests.unit.sidecar.answer_cache.support.classifiers import KEYS, LARGE, MEAN, answer

FLAGS = [classifier_pb2.FLAG_LANGUAGE, classifier_pb2.FLAG_UNREADABLE]
ANSWERS = st.builds(
    Classified,
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40).map(lambda row: np.array(row, dtype=np.float32)),
    st.integers(1, 100_000),
    truncated=st.booleans(),
    chunks=st.integers(1, 1000),
    flags=st.lists(st.sampled_from(FLAGS), unique=True).map(sorted).map(tuple),
)
SOME_KEYS = st.binary(min_size=24, max_size=24)


@given(SOME_KEYS, ANSWERS)
def test_a_stored_answer_is_read_back(key: bytes, original: Classified) -> None:
    read = decode(key, encode(key, original), len(original.probabilities))
    assert read is not None
    assert read.probabilities.tobytes() == original.probabilities.tobytes()
    assert replace(read, probabilities=original.probabilities) is not None
    assert (read.tokens, read.truncated, read.chunks, read.flags) == (
        original.tokens,
        original.truncated,
        original.chunks,
        original.flags,
    )
    with pytest.raises(ValueError, match="read-only"):
        read.probabilities[0] = 0


@given(SOME_KEYS, ANSWERS, st.data())
def test_a_damaged_value_is_no_answer(key: bytes, original: Classified, data: st.DataObject) -> None:
    labels = len(original.probabilities)
    value = bytearray(encode(key, original))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    assert decode(key, bytes(value), labels) is None
    assert decode(key, bytes(value[: bit // 8]), labels) is None


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_no_answer(value: bytes) -> None:
    assert decode(b"k" * 24, value, 9) is None


def test_a_value_of_another_key_or_number_of_labels_is_no_answer() -> None:
    value = encode(b"a" * 24, answer(0.5))
    assert decode(b"b" * 24, value, 9) is None
    assert decode(b"a" * 24, value, 8) is None


def with_contract(model: Model, **fields: object) -> Model:
    message = contract_pb2.ModelContract()
    message.CopyFrom(model.contract.message)
    message.MergeFrom(contract_pb2.ModelContract(**fields))  # type: ignore[arg-type]
    return replace(model, contract=replace(model.contract, message=message))


def test_each_part_of_the_scoring_contract_changes_the_key(models: list[Model]) -> None:
    model = models[0]
    others = [
        model,
        *models[1:],
        with_contract(model, labels=["calm"]),
        with_contract(model, weights_sha256="ab" * 32),
        with_contract(model, tokenizer_sha256="ab" * 32),
        with_contract(model, thresholds=[0.5]),
        with_contract(model, max_tokens=31),
        with_contract(model, windows=contract_pb2.Windows(tokens=16)),
    ]
    keys = [KEYS.key(other, policy, text) for other in others for policy in OverlengthPolicy for text in ("", "a", "b", "\0a")]
    keys += [
        AnswerKeys(overlap=9, max_chunks=32).key(model, MEAN, "a"),
        AnswerKeys(overlap=8, max_chunks=9).key(model, MEAN, "a"),
    ]
    assert len(set(keys)) == len(keys)
    assert AnswerKeys(overlap=8, max_chunks=32).key(replace(model), MEAN, "a") == KEYS.key(model, MEAN, "a")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 200)), max_size=40), st.integers(0, 2000))
def test_memory_returns_what_was_put_within_its_bound(steps: list[tuple[bool, int, int]], max_bytes: int) -> None:
    memory, stored = MemoryAnswers(max_bytes), dict[bytes, bytes]()
    for is_put, number, size in steps:
        key = bytes([number])
        if is_put:
            known = memory.get(key) is not None
            memory.put(key, bytes(size))
            if not known:
                stored[key] = bytes(size)
        elif (found := memory.get(key)) is not None:
            assert found == stored[key]
        assert 0 <= memory.bytes <= max_bytes
        assert (len(memory) == 0) == (memory.bytes == 0)


def test_the_memory_of_the_answers_is_within_its_bound_and_holds_the_latest(models: list[Model]) -> None:
    memory = MemoryAnswers(LARGE)
    batch = np.random.default_rng(0).random((64, 28)).astype(np.float32)
    keys = [KEYS.key(models[0], MEAN, f"text {number}") for number in range(6000)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number, key in enumerate(keys):
            memory.put(bytes(bytearray(key)), encode(key, replace(answer(0), probabilities=batch[number % 64])))
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 2000 < len(memory) < 6000
    assert used <= LARGE
    assert memory.get(keys[0]) is None
    assert memory.get(keys[-1]) is not None
