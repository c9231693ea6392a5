"""Documents with one emotional paragraph, in windows, with a classifier that counts words."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_model.checkpoint import load_checkpoint
from undertone_model.corpora import LabelledText, TestSet
from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation.classifiers import Classifier, Probabilities
from undertone_model.evaluation.documents import DOCUMENTS, MERGES, Window, documents, splitter
from undertone_model.evaluation.run import Benchmark, run
from undertone_model.evaluation.tables import markdown
from undertone_sidecar.chunks import Chunk, OverlengthPolicy, merge, sliding_chunks

NEUTRAL_ROWS = tuple(LabelledText(f"{'It was noon. ' * 12}{number}.", frozenset({"neutral"})) for number in range(8))
ROWS = (*NEUTRAL_ROWS, LabelledText("Rage! " * 70, frozenset({"anger"})), LabelledText("Alas.", frozenset({"sadness", "love"})))
NOVELS = TestSet("novels", "CC BY 4.0", EMOTIONS, fiction=True, texts=ROWS)


def by_words(text: str, tokens: int) -> list[Window]:
    """Windows of words that do not overlap."""
    words = text.split()
    parts = [words[start : start + tokens] for start in range(0, len(words), tokens)]
    return [Window(" ".join(part), len(part), len(part)) for part in parts]


def reader() -> Classifier:
    """Anger with the share of the word Rage, else neutral."""

    def predict(texts: Sequence[str]) -> dict[str, Probabilities]:
        rows = np.zeros((len(texts), 9))
        rows[:, EMOTIONS.index("anger")] = [text.split().count("Rage!") / len(text.split()) for text in texts]
        rows[:, EMOTIONS.index("neutral")] = 1 - rows.sum(axis=1)
        return {"": rows}

    return Classifier("reader", "", predict, split=by_words)


def test_a_document_has_one_emotional_paragraph_or_none() -> None:
    found = documents(NOVELS)
    assert [document.emotion for document in found] == ["anger"] * DOCUMENTS + ["neutral"] * DOCUMENTS
    for document in found:
        paragraphs = document.text.split("\n\n")
        assert len(set(paragraphs)) == 6
        assert ("Rage! " * 70 in paragraphs) == (document.emotion == "anger")
    positions = {document.text.split("\n\n").index("Rage! " * 70) for document in found[:DOCUMENTS]}
    assert positions == set(range(6))
    assert documents(NOVELS) == found


@pytest.mark.parametrize(
    "test_set",
    [replace(NOVELS, fiction=False), replace(NOVELS, texts=NEUTRAL_ROWS), replace(NOVELS, texts=ROWS[4:])],
    ids=["no fiction", "no emotion", "too few neutral rows"],
)
def test_other_test_sets_have_no_documents(test_set: TestSet) -> None:
    assert documents(test_set) == ()
    assert run(Benchmark((test_set,), robustness=False, suites=False), [reader()], lambda _: None).documents == ()


def test_short_windows_with_the_least_neutral_find_the_paragraph() -> None:
    report = run(Benchmark((NOVELS,), robustness=False, suites=False), [reader()], lambda _: None)
    found = {(row.window_tokens, row.merge): row.found.value for row in report.documents}
    *_, least_neutral = MERGES
    # 70 of 255 words are Rage: they are more than half of the words of some windows.
    assert found[128, least_neutral] > 0.3
    assert found[128, least_neutral] > found[128, "maximum"]
    assert found[512, least_neutral] == found[128, "mean"] == 0
    assert {row.false_alarms.value for row in report.documents} == {0}
    assert all(row.emotional.value == row.found.value for row in report.documents)
    assert {row.documents for row in report.documents} == {DOCUMENTS}
    text = markdown(report)
    assert "**One emotional paragraph among five neutral ones, and false alarms in six neutral ones**" in text
    assert "| novels | reader | 512 | mean | .000 (.000 to .000) | .000 (.000 to .000) | .000 (.000 to .000) | " in text


@given(st.integers(1, 700), st.sampled_from([16, 128, 512]))
@settings(max_examples=30, deadline=None)
def test_windows_are_those_of_the_sidecar(tiny: Path, words: int, tokens: int) -> None:
    text = "rain " * words
    windows = splitter(load_checkpoint(tiny).tokenizer)(text, tokens)
    width = tokens - 2
    chunks = sliding_chunks(words, width=width, overlap=min(64, width // 4))
    assert [window.new_tokens for window in windows] == [chunk.new_tokens for chunk in chunks]
    assert [len(window.text.split()) for window in windows] == [chunk.stop - chunk.start for chunk in chunks]


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_merges_are_those_of_the_sidecar(windows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = random.dirichlet(np.ones(9), size=windows)
    new_tokens = random.integers(1, 100, windows).tolist()
    chunks = [Chunk(0, count, count) for count in new_tokens]
    mean, maximum, least_neutral = (merge_parts(parts, new_tokens) for merge_parts in MERGES.values())
    for ours, policy, neutral in (
        (mean, OverlengthPolicy.CHUNK_MEAN, None),
        (maximum, OverlengthPolicy.CHUNK_MAX, None),
        (least_neutral, OverlengthPolicy.CHUNK_MAX, EMOTIONS.index("neutral")),
    ):
        theirs = merge([part.astype(np.float32) for part in parts], chunks, policy, is_multi_label=False, neutral=neutral)
        np.testing.assert_allclose(ours / ours.sum(), theirs, atol=1e-5)
