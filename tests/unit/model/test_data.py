"""Files of examples: what they mean, and what is said of a line that is not as it should be."""

import hashlib
import json
from pathlib import Path

import pytest
from undertone_model import data
from undertone_model.emotions import EMOTIONS, GOEMOTIONS
from undertone_model.errors import DataError

LABELS = list(GOEMOTIONS)


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    (tmp_path / "test.tsv").write_text(
        f"So glad!\t{LABELS.index('joy')},{LABELS.index('relief')}\tid1\n"
        f"What?\t{LABELS.index('confusion')},{LABELS.index('anger')}\tid2\n"
    )
    return tmp_path


def paragraph(**fields: object) -> str:
    return json.dumps({"id": "sea/fear/00", "genre": "sea", "emotion": "fear", "text": "The rope gave."} | fields)


def test_labels_of_a_comment_become_a_distribution(comments: Path) -> None:
    found = data.goemotions(comments, "test")
    assert [example.text for example in found.examples] == ["So glad!", "What?"]
    assert found.examples[0].target == tuple(float(name == "joy") for name in EMOTIONS)
    assert found.examples[1].target == tuple(0.5 * (name in ("anger", "surprise")) for name in EMOTIONS)


def test_only_comments_of_one_emotion_are_singles(comments: Path) -> None:
    singles = data.goemotions(comments, "test").singles()
    assert [example.text for example in singles.examples] == ["So glad!"]
    assert singles.labels().tolist() == [EMOTIONS.index("joy")]


def test_a_data_set_knows_the_hash_of_its_file(comments: Path) -> None:
    (comments / "test.tsv").write_bytes(b"So glad!\t0\tid1\r\n")
    found = data.goemotions(comments, "test")
    assert found.name == "goemotions/test"
    assert found.sha256 == hashlib.sha256(b"So glad!\t0\tid1\r\n").hexdigest()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no tabs",
        "text\t3",
        "text\t3\tid\tmore",
        "text\tjoy\tid",
        "text\t\tid",
        "text\t28\tid",
        "text\t-1\tid",
        "text\t1,,2\tid",
    ],
)
def test_a_malformed_comment_is_named_by_file_and_line(comments: Path, line: str) -> None:
    (comments / "test.tsv").write_text(f"fine\t1\tid\n{line}\nfine\t1\tid\n")
    with pytest.raises(DataError, match=r"test\.tsv, line 2: expected text, label numbers below 28"):
        data.goemotions(comments, "test")


def test_a_comment_may_hold_characters_that_look_like_line_ends(comments: Path) -> None:
    (comments / "test.tsv").write_text("one\u2028two\x85three\t1\tid\n", encoding="utf-8")
    assert [example.text for example in data.goemotions(comments, "test").examples] == ["one\u2028two\x85three"]


def test_a_label_that_goemotions_does_not_have_is_named(comments: Path) -> None:
    (comments / "labels.txt").write_text("joy\nennui\n")
    with pytest.raises(DataError, match=r"labels\.txt has the label 'ennui'"):
        data.goemotions(comments, "test")


def test_a_missing_file_says_where_data_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt does not exist; see model/CARD\.md"):
        data.goemotions(tmp_path, "train")


def test_a_file_that_is_not_utf8_is_named(comments: Path) -> None:
    (comments / "test.tsv").write_bytes(b"caf\xe9\t1\tid\n")
    with pytest.raises(DataError, match=r"test\.tsv cannot be read: 'utf-8'"):
        data.goemotions(comments, "test")


def test_the_end_of_an_id_says_to_which_split_a_paragraph_belongs(tmp_path: Path) -> None:
    lines = [paragraph(id=f"sea/fear/{number:02}", text=f"Paragraph {number}.") for number in range(10)]
    (tmp_path / "sea.jsonl").write_text("\n".join(lines) + "\n")
    texts = {split: [example.text for example in data.stories(tmp_path, split).examples] for split in ("train", "dev", "test")}
    assert texts["test"] == ["Paragraph 8.", "Paragraph 9."]
    assert texts["dev"] == ["Paragraph 7."]
    assert texts["train"] == [f"Paragraph {number}." for number in range(7)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        '"text"',
        paragraph(emotion="trust"),
        paragraph(emotion=["fear"]),
        paragraph(id=7),
        paragraph(id="sea"),
        paragraph(id="sea/fear/8"),
        paragraph(id="sea/fear/108"),
        paragraph(text=None),
        json.dumps({"id": "sea/fear/00", "emotion": "fear"}),
    ],
)
def test_a_malformed_paragraph_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "sea.jsonl").write_text(f"{paragraph()}\n{line}\n{paragraph()}\n")
    with pytest.raises(DataError, match=r"sea\.jsonl, line 2: expected an object with id") as raised:
        data.stories(tmp_path, "train")
    assert "rope" not in str(raised.value)


def test_a_folder_without_paragraphs_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.jsonl files"):
        data.stories(tmp_path, "train")
