import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_model.testing_tokenizers import tiny_tokenizer
from undertone_planner.errors import LengthsError
from undertone_planner.plan.lengths import Chunking, Lengths
from undertone_planner.plan.lengths_file import estimated_tokens, measure_lengths, read_lengths, tokenizer_counter
from undertone_sidecar.chunks import sliding_chunks


def test_the_paper_has_its_published_quantiles() -> None:
    paper = Lengths.paper()
    assert (paper.quantile(0.5), paper.quantile(1.0)) == (91, 1031)
    assert paper.quantile(0.95) == pytest.approx(340, abs=2)
    assert paper.mean == pytest.approx(125, abs=1)


@given(tokens=st.integers(3, 10_000))
def test_long_paragraphs_have_the_chunks_of_the_sidecar(tokens: int) -> None:
    chunks = sliding_chunks(tokens - 2, width=510, overlap=64)
    assert Chunking().computed_tokens(tokens) == sum(chunk.stop - chunk.start + 2 for chunk in chunks)


@given(st.dictionaries(st.integers(1, 2000), st.integers(0, 100), min_size=1).filter(lambda found: any(found.values())))
def test_quantiles_are_those_of_the_sorted_paragraphs(histogram: dict[int, int]) -> None:
    paragraphs = sorted(tokens for tokens, count in histogram.items() for _ in range(count))
    lengths = Lengths.of(histogram)
    assert lengths.paragraphs == len(paragraphs)
    assert lengths.mean == pytest.approx(sum(paragraphs) / len(paragraphs))
    assert lengths.quantile(0.0) == paragraphs[0]
    assert lengths.quantile(0.5) == paragraphs[(len(paragraphs) + 1) // 2 - 1]
    assert lengths.quantile(1.0) == paragraphs[-1]
    assert set(lengths.sample(20, random.Random(1))) <= set(paragraphs)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "tokens,count\n100,3\n20,1\n"),
        ("a.json", '{"100": 3, "20": 1}'),
        ("b.json", '[{"tokens": 100, "count": 3}, {"tokens": 20, "count": 1}]'),
        ("c.json", "[[100, 3], [20, 1]]"),
    ],
)
def test_histograms_are_read_from_csv_and_json(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert read_lengths(path) == Lengths((20, 100), (1, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("length,count\n1,2\n", "no columns tokens and count"),
        ("tokens,count\n1,2\nx,2\n", r"line 3: tokens 'x', count '2'"),
        ("tokens,count\n0,2\n", "tokens of at least 1"),
        ("tokens,count\n", "has no paragraphs"),
        ("{", "is not JSON"),
        ('{"12": 1.5}', "key 12: tokens '12', count 1.5"),
        ("[1]", "entry 0 is not a pair"),
    ],
)
def test_wrong_histograms_name_the_place_and_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lengths"
    path.write_text(text)
    with pytest.raises(LengthsError, match=message):
        read_lengths(path)


def test_a_missing_histogram_is_named(tmp_path: Path) -> None:
    with pytest.raises(LengthsError, match="cannot be read"):
        read_lengths(tmp_path / "missing.csv")


def test_texts_are_measured_by_their_characters() -> None:
    assert estimated_tokens("x" * 410) == 102
    assert measure_lengths(["x" * 410, "y" * 410, "z"]) == Lengths((3, 102), (1, 2))
    with pytest.raises(LengthsError, match="no paragraphs to score"):
        measure_lengths([])


def test_a_tokenizer_counts_exactly(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(path))
    assert tokenizer_counter(path)("the sea") == len(tokenizer.encode("the sea").ids)
    path.write_text(json.dumps({}))
    with pytest.raises(LengthsError, match="not a tokenizer"):
        tokenizer_counter(path)
