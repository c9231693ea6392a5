import pytest
from tokenizers import Tokenizer
from undertone_bench.errors import BenchError
from undertone_bench.lengths import Histogram
from undertone_bench.paragraphs import Corpus, Texts
from undertone_model.testing import tiny_tokenizer


def test_the_published_quantiles() -> None:
    published = Histogram.published()
    assert published.quantile(0.5) == pytest.approx(91, abs=1)
    assert published.quantile(0.95) == pytest.approx(340, abs=2)
    assert published.mean == pytest.approx(125, abs=1.5)
    assert published.lengths[-1] == 1031


@pytest.mark.parametrize("count", [32, 256, 4096])
def test_a_small_sample_has_the_quantiles_of_all(count: int) -> None:
    published = Histogram.published()
    sample = sorted(published.sample(count))
    assert len(sample) == count
    assert sample[count // 2] == pytest.approx(91, rel=0.08)
    assert sum(sample) / count == pytest.approx(published.mean, rel=0.05)


def test_samples_are_the_same_each_time_and_in_random_order() -> None:
    sample = Histogram.published().sample(64)
    assert sample == Histogram.published().sample(64)
    assert sample != sorted(sample)
    assert sorted(sample) == sorted(Histogram.published().sample(64, seed=8))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tiny_tokenizer()


WORDS = ["the", "rain", "was", "her", "letter", "unlettered"] * 200


@pytest.mark.parametrize("tokens", [3, 10, 91, 340])
def test_made_paragraphs_have_the_tokens_that_they_say(tokenizer: Tokenizer, tokens: int) -> None:
    paragraph = Corpus(tokenizer, WORDS).paragraph(tokens)
    assert paragraph.tokens == len(tokenizer.encode(paragraph.text).ids)
    longest_word = max(len(tokenizer.encode(word, add_special_tokens=False).ids) for word in WORDS)
    assert tokens - longest_word < paragraph.tokens <= max(tokens, longest_word + 2)


def test_paragraphs_of_a_file_are_chosen_by_length(tokenizer: Tokenizer, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "texts.txt"
    path.write_text("the rain\n\nthe rain was her letter\n\n\nrain\n")
    texts = Texts.read(tokenizer, path)
    assert texts.histogram.lengths == (3, 4, 7)
    assert [paragraph.tokens for paragraph in texts.paragraphs([3, 5, 7, 900])] == [3, 7, 7, 7]


def test_a_file_without_paragraphs_says_what_it_needs(tokenizer: Tokenizer, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "texts.txt"
    path.write_text("\n\n")
    with pytest.raises(BenchError, match="blank lines"):
        Texts.read(tokenizer, path)
