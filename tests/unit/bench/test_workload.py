from pathlib import Path

import pytest
from tokenizers import Tokenizer
from undertone_bench.errors import BenchError
from undertone_bench.workload import Corpus, LengthDistribution, TextFile
from undertone_model.testing import tiny_tokenizer

WORDS = ["the", "rain", "was", "her", "letter", "unlettered"] * 200


def test_paper_lengths_have_the_published_quantiles() -> None:
    paper = LengthDistribution.paper()
    assert paper.quantile(0.5) == pytest.approx(91, abs=1)
    assert paper.quantile(0.95) == pytest.approx(340, abs=2)
    assert paper.mean == pytest.approx(125, abs=1.5)
    assert paper.lengths[-1] == 1031


@pytest.mark.parametrize("count", [32, 256, 4096])
def test_small_samples_have_the_quantiles_of_the_distribution(count: int) -> None:
    paper = LengthDistribution.paper()
    sample = sorted(paper.sample(count))
    assert len(sample) == count
    assert sample[count // 2] == pytest.approx(91, rel=0.08)
    assert sum(sample) / count == pytest.approx(paper.mean, rel=0.05)


def test_samples_are_reproducible_and_in_random_order() -> None:
    sample = LengthDistribution.paper().sample(64)
    assert sample == LengthDistribution.paper().sample(64)
    assert sample != sorted(sample)
    assert sorted(sample) == sorted(LengthDistribution.paper().sample(64, seed=8))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tiny_tokenizer()


@pytest.mark.parametrize("tokens", [3, 10, 91, 340])
def test_corpus_paragraphs_report_their_number_of_tokens(tokenizer: Tokenizer, tokens: int) -> None:
    paragraph = Corpus(tokenizer, WORDS).paragraph(tokens)
    assert paragraph.tokens == len(tokenizer.encode(paragraph.text).ids)
    longest_word = max(len(tokenizer.encode(word, add_special_tokens=False).ids) for word in WORDS)
    assert tokens - longest_word < paragraph.tokens <= max(tokens, longest_word + 2)


def test_paragraphs_of_a_file_are_selected_by_length(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("the rain\n\nthe rain was her letter\n\n\nrain\n")
    texts = TextFile.read(tokenizer, path)
    assert texts.distribution.lengths == (3, 4, 7)
    assert [paragraph.tokens for paragraph in texts.paragraphs([3, 5, 7, 900])] == [3, 7, 7, 7]


def test_a_file_without_paragraphs_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n\n")
    with pytest.raises(BenchError, match="blank lines"):
        TextFile.read(tokenizer, path)
