"""Thresholds of flags, fitted on the packaged stories with the packaged tokenizer."""

from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer
from undertone_model.checkpoint import find_base
from undertone_model.data import PACKAGED_STORIES, Sample, load_stories
from undertone_model.errors import ExportError
from undertone_model.evaluation.suites import load_flag_suites
from undertone_model.flags import find_flags, fit_thresholds, shuffle_letters
from undertone_model.special_tokens import served_tokenizer, unknown_token
from undertone_protos.v1 import classifier_pb2
from undertone_protos.v1.contract_pb2 import FlagThresholds
from undertone_sidecar.flags import Flagger

STORIES = Sample("stories/dev", "0", tuple(example.text for example in load_stories(PACKAGED_STORIES, "dev").examples))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return served_tokenizer(Tokenizer.from_file(str(find_base(None) / "tokenizer.json")))


@pytest.fixture(scope="module")
def thresholds(tokenizer: Tokenizer) -> FlagThresholds:
    return fit_thresholds(tokenizer, ["en"], STORIES)


def test_foreign_and_garbled_texts_are_flagged_and_stories_are_not(tokenizer: Tokenizer, thresholds: FlagThresholds) -> None:
    suites = load_flag_suites()
    stories = [example.text for example in load_stories(PACKAGED_STORIES, "test").examples]
    assert find_flags(thresholds, tokenizer, suites["languages"]).language.all()
    assert find_flags(thresholds, tokenizer, suites["emojis"]).unreadable.all()
    assert find_flags(thresholds, tokenizer, stories).any.mean() <= 0.01
    shuffled = [shuffle_letters(text, np.random.default_rng(1)) for text in stories]
    assert find_flags(thresholds, tokenizer, shuffled).unreadable.mean() >= 0.95


def test_the_sidecar_finds_the_same_flags(tokenizer: Tokenizer, thresholds: FlagThresholds) -> None:
    flagger = Flagger.of(thresholds, unknown_token(tokenizer))
    texts = [text for suite in load_flag_suites().values() for text in suite]
    texts += [*STORIES.texts[:30], "", "x", "7", "No!", "😀", "A" * 300, "the 😀 sea"]
    found = find_flags(thresholds, tokenizer, texts)
    for row, text in enumerate(texts):
        token_ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int32)
        flags = flagger.flags(text, token_ids)
        assert (classifier_pb2.FLAG_LANGUAGE in flags) == found.language[row]
        assert (classifier_pb2.FLAG_UNREADABLE in flags) == found.unreadable[row]
    assert 0 < found.unreadable.sum() < len(texts)


def test_the_fit_is_deterministic_and_names_its_texts(tokenizer: Tokenizer, thresholds: FlagThresholds) -> None:
    assert fit_thresholds(tokenizer, ["en"], STORIES) == thresholds
    assert (list(thresholds.languages), thresholds.sample) == (["en"], "stories/dev")


def test_an_unknown_language_and_few_texts_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ExportError, match="--languages 'xx' is unknown"):
        fit_thresholds(tokenizer, ["xx"], STORIES)
    with pytest.raises(ExportError, match="at least 100 texts, but stories/dev has 9"):
        fit_thresholds(tokenizer, ["en"], replace(STORIES, texts=STORIES.texts[:9]))
