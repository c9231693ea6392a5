"""Reading of data sets and samples, and the errors of malformed lines."""

import hashlib
import json
from pathlib import Path

import pytest
from undertone_model.data import load_goemotions, load_sample, load_stories
from undertone_model.emotions import EMOTIONS, GOEMOTIONS
from undertone_model.errors import DataError

LABELS = list(GOEMOTIONS)


NUMBERS = [f"text\t{number}\tid" for number in ("28", "-1", "1,,2")]


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


def test_labels_of_a_comment_have_equal_shares(comments: Path) -> None:
    dataset = load_goemotions(comments, "test")
    assert [example.text for example in dataset.examples] == ["So glad!", "What?"]
    assert dataset.examples[0].target == tuple(float(name == "joy") for name in EMOTIONS)
    assert dataset.examples[1].target == tuple(0.5 * (name in ("anger", "surprise")) for name in EMOTIONS)


def test_selection_of_comments_with_a_single_emotion(comments: Path) -> None:
    singles = load_goemotions(comments, "test").with_single_emotion()
    assert [example.text for example in singles.examples] == ["So glad!"]
    assert singles.labels().tolist() == [EMOTIONS.index("joy")]


def test_data_set_has_the_hash_of_its_file(comments: Path) -> None:
    (comments / "test.tsv").write_bytes(b"So glad!\t0\tid1\r\n")
    dataset = load_goemotions(comments, "test")
    assert dataset.name == "goemotions/test"
    assert dataset.sha256 == hashlib.sha256(b"So glad!\t0\tid1\r\n").hexdigest()


@pytest.mark.parametrize(
    "line",
    ["", "no tabs", "text\t3", "text\t3\tid\tmore", "text\tjoy\tid", "text\t\tid", *NUMBERS],
)
def test_error_names_file_and_line_of_a_malformed_comment(comments: Path, line: str) -> None:
    (comments / "test.tsv").write_text(f"fine\t1\tid\n{line}\nfine\t1\tid\n")
    with pytest.raises(DataError, match=r"test\.tsv, line 2: expected text, label numbers below 28"):
        load_goemotions(comments, "test")


def test_comment_may_contain_unicode_line_separators(comments: Path) -> None:
    (comments / "test.tsv").write_text("one\u2028two\x85three\t1\tid\n", encoding="utf-8")
    assert [example.text for example in load_goemotions(comments, "test").examples] == ["one\u2028two\x85three"]


def test_error_names_an_unknown_label(comments: Path) -> None:
    (comments / "labels.txt").write_text("joy\nennui\n")
    with pytest.raises(DataError, match=r"labels\.txt has the label 'ennui'"):
        load_goemotions(comments, "test")


def test_error_of_a_missing_file_refers_to_the_model_card(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt does not exist; model/CARD\.md says where"):
        load_goemotions(tmp_path, "train")


def test_error_names_a_file_that_is_not_utf8(comments: Path) -> None:
    (comments / "test.tsv").write_bytes(b"caf\xe9\t1\tid\n")
    with pytest.raises(DataError, match=r"cannot read .*test\.tsv: 'utf-8'"):
        load_goemotions(comments, "test")


def test_id_of_a_paragraph_determines_its_split(tmp_path: Path) -> None:
    lines = [paragraph(id=f"sea/fear/{number:02}", text=f"Paragraph {number}.") for number in range(10)]
    (tmp_path / "sea.jsonl").write_text("\n".join(lines) + "\n")
    texts = {split: [example.text for example in load_stories(tmp_path, split).examples] for split in ("train", "dev", "test")}
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
def test_error_names_file_and_line_of_a_malformed_paragraph(tmp_path: Path, line: str) -> None:
    (tmp_path / "sea.jsonl").write_text(f"{paragraph()}\n{line}\n{paragraph()}\n")
    with pytest.raises(DataError, match=r"sea\.jsonl, line 2: expected an object with id") as error:
        load_stories(tmp_path, "train")
    assert "rope" not in str(error.value)


def test_error_names_a_folder_without_paragraphs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"contains no \.jsonl files"):
        load_stories(tmp_path, "train")


def test_sample_may_be_a_text_file_a_json_file_or_a_folder_of_stories(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("At last, home!\n\nRain.\n")
    (tmp_path / "a.jsonl").write_text('{"text": "Rain."}\n')
    rows = [{"id": f"sea/joy/0{number}", "emotion": "joy", "text": f"{number}"} for number in (6, 7, 8, 9)]
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "sea.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_sample(tmp_path / "a.txt").texts == ("At last, home!", "Rain.")
    assert load_sample(tmp_path / "a.jsonl").texts == ("Rain.",)
    held_out = load_sample(tmp_path / "stories")
    assert (held_out.name, held_out.texts) == ("stories/held-out", ("8", "9", "7"))
    assert len({load_sample(path).sha256 for path in tmp_path.iterdir()}) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "contains no texts"),
        ("{}\n", "line 1: expected an object with a text"),
        ('{"text": 1}', "line 1"),
        ("\n[", "line 2"),
    ],
)
def test_error_of_a_malformed_sample(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError, match=rf"a\.jsonl,? {reason}"):
        load_sample(tmp_path / "a.jsonl")


def test_error_of_a_missing_sample(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt does not exist"):
        load_sample(tmp_path / "a.txt")
