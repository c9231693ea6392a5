"""Readers of public corpora, with rows of our own in their formats."""

import json
from pathlib import Path

import pytest
from undertone_model.corpora import CORPORA, LabelledText, TestSet, read_test_set, xed
from undertone_model.corpora.splits import split_of_line, words
from undertone_model.data import PACKAGED_STORIES
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError

REMAN_HEADER = "id\tauthor\tbook\temotions\tsentence\tpassage\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(test_set: TestSet) -> list[tuple[str, set[str]]]:
    return [(text.text, set(text.emotions)) for text in test_set.texts]


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
def test_every_label_has_an_emotion_or_none(corpus: object) -> None:
    assert set(CORPORA[corpus.name].mapping.values()) <= {*EMOTIONS, None}  # type: ignore[attr-defined]


def test_reman_sentences(tmp_path: Path) -> None:
    path = write(
        tmp_path / "reman.tsv",
        REMAN_HEADER
        + '1|2\tDoe, J.\tA Book\tjoy,trust\t"She sang.\tBefore. "She sang. After.\n'
        + "1|3\tDoe, J.\tA Book\nIn Two Lines\tanger,fear\tHe hid.\tHe hid. There.\n"
        + "1|4\tDoe, J.\tA Book\tother-emotion\tWell.\tWell. So.\n"
        + "1|5\tDoe, J.\tA Book\tneutral\tIt was noon.\tIt was noon.\n",
    )
    found = read_test_set("reman", path, all_rows=True)
    assert rows(found) == [
        ('"She sang.', {"joy"}),
        ("He hid.", {"anger", "fear"}),
        ("Well.", set()),
        ("It was noon.", {"neutral"}),
    ]
    assert (found.with_several, found.with_none, len(found.with_single_emotion().texts)) == (1, 1, 2)
    assert found.emotions == tuple(emotion for emotion in EMOTIONS if emotion != "love")


def test_reman_passages_of_the_public_release(tmp_path: Path) -> None:
    document = """<document doc_id="7|1" author="Doe, J."><text> One. She wept. Three. </text>
      <adjudicated><spans><span type="{type}" cbegin="1" cend="4" annotation_id="1">wept</span>
      <span type="character" cbegin="1" cend="2" annotation_id="2">She</span></spans><relations/></adjudicated>
      <other><spans><span type="joy" cbegin="1" cend="4" annotation_id="3">wept</span></spans></other></document>"""
    xml = f"<reman>{document.format(type='sadness')}{document.format(type='event')}</reman>"
    found = read_test_set("reman", write(tmp_path / "reman-version1.0.xml", xml), all_rows=True)
    assert found.name == "reman passages"
    assert rows(found) == [("One. She wept. Three.", {"sadness"}), ("One. She wept. Three.", {"neutral"})]


def test_xed_with_numbers_and_with_names(tmp_path: Path) -> None:
    numbers = write(tmp_path / "en-annotated.tsv", "Get out !\t1,3\nI trust you\t8\nOh my\t7\nIt is noon\t0\n")
    expected = [
        ("Get out !", {"anger", "disgust"}),
        ("I trust you", set()),
        ("Oh my", {"surprise"}),
        ("It is noon", {"neutral"}),
    ]
    assert rows(read_test_set("xed", numbers, all_rows=True)) == expected
    names = write(
        tmp_path / "train.tsv",
        "emotions\ttext\nanger,disgust\tGet out !\ntrust\tI trust you\nsurprise\tOh my\nneutral\tIt is noon\n",
    )
    assert rows(read_test_set("xed", names, all_rows=True)) == expected


def test_no_line_of_xed_is_held_out_whose_words_are_trained_on(tmp_path: Path) -> None:
    lines = [f"Line {number}{end}\t0" for number in range(300) for end in ("", ".", " !")[: number % 4]]
    path = write(tmp_path / "x.tsv", "\n".join(lines) + "\n")
    found = {split: [words(text) for text, _ in xed.read(path, split)] for split in ("train", "dev", "test")}
    assert all(found.values())
    assert not set(found["train"]) & {*found["dev"], *found["test"]}
    assert not set(found["dev"]) & set(found["test"])
    assert len(found["train"]) == sum(split_of_line(line.split("\t")[0]) == "train" for line in lines)


def test_tales_of_both_readers(tmp_path: Path) -> None:
    write(tmp_path / "Potter" / "emmood" / "a.emmood", "0:0\tN:N\tN:N\tOnce.\n1:1\tH:Sa\tH:S\tShe left.\n")
    write(tmp_path / "Grimms" / "emmood" / "b.emmood", b"0:0\tSu+:Su-\t+:-\t\x93Oh!\x94\n")
    write(tmp_path / "Grimms" / "agree" / "b.agree", "ignored")
    assert rows(read_test_set("tales", tmp_path)) == [
        ("�Oh!�", {"surprise"}),
        ("Once.", {"neutral"}),
        ("She left.", {"joy", "sadness"}),
    ]


EMOLIT_LABELS = [label for label in CORPORA["emolit"].mapping if label != "neutral"]


def emolit_row(number: int, text: str, *labels: str) -> str:
    return "\t".join([str(number), text, *("1" if label in labels else "0" for label in EMOLIT_LABELS)])


def test_emolit_sentences_without_emotions_are_neutral(tmp_path: Path) -> None:
    lines = [
        "\t".join(["tid", "text", *EMOLIT_LABELS]),
        emolit_row(3, 'Well," said he, "I never!', "surprise"),
        emolit_row(8, "She wept and raged.", "despair", "frustration", "approval"),
        emolit_row(9, "They trusted him.", "trust", "approval"),
        emolit_row(12, "The mill stood by the river."),
    ]
    assert len(EMOLIT_LABELS) == 38
    found = read_test_set("emolit", write(tmp_path / "gold.tsv", "\n".join(lines) + "\n"))
    assert rows(found) == [
        ('Well," said he, "I never!', {"surprise"}),
        ("She wept and raged.", {"sadness", "anger"}),
        ("They trusted him.", set()),
        ("The mill stood by the river.", {"neutral"}),
    ]
    assert found.emotions == EMOTIONS


def test_isear_reports_without_line_breaks_and_without_missing_answers(tmp_path: Path) -> None:
    content = (
        "ID|EMOT|Field1|SIT|STATE|\n"
        "1|1|joy|When the letter came and á we read it.  |1|\n"
        "1|2|fear|[ No response.]|1|\n"
        "1|5|disgust|[ On a beach, a dead gull.]|1|\n"
        '1|4|sadness|"My dog á\ndied."|1|\n'
        "1|7|guilt|I forgot her name.|1|\n"
    )
    found = read_test_set("isear", write(tmp_path / "isear.csv", content))
    assert rows(found) == [
        ("When the letter came and we read it.", {"joy"}),
        ("[ On a beach, a dead gull.]", {"disgust"}),
        ("My dog died.", {"sadness"}),
        ("I forgot her name.", {"sadness"}),
    ]
    assert found.emotions == ("joy", "sadness", "anger", "fear", "disgust")


EMPATHETIC_HEADER = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"


def test_empathetic_dialogues_have_one_situation_each(tmp_path: Path) -> None:
    content = EMPATHETIC_HEADER + (
        'hit:0,1,proud,My "boy"_comma_ aged six_comma_ swam. ,1,Hello_comma_ you,5|5|5_2|2|5,\n'
        'hit:0,2,proud,My "boy"_comma_ aged six_comma_ swam. ,2,Oh,5|5|5_2|2|5,\n'
        "hit:2,1,jealous,He has two.,3,He has,5|5|5_2|2|5,,One|Two\r\n"
        "hit:4,1,disgusted,It had mould.,4,Yes,5|5|5_2|2|5,\n"
    )
    found = read_test_set("empathetic", write(tmp_path / "test.csv", content))
    assert rows(found) == [('My "boy", aged six, swam.', {"joy"}), ("He has two.", set()), ("It had mould.", {"disgust"})]
    assert found.emotions == EMOTIONS[:-1]


def test_stories_and_goemotions_are_test_splits(tmp_path: Path) -> None:
    assert len(read_test_set("stories", PACKAGED_STORIES).texts) == 396
    write(tmp_path / "labels.txt", "joy\nneutral\ngrief")
    write(tmp_path / "test.tsv", "so good\t0\ta\nalas, but ha\t0,2\tb\n")
    assert rows(read_test_set("goemotions", tmp_path)) == [("so good", {"joy"}), ("alas, but ha", {"joy", "sadness"})]


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("reman", "r.tsv", REMAN_HEADER + "1\ta\tb\tjoy,hate\ts\tp\n", "r.tsv, line 2: the label 'hate' is unknown"),
        ("reman", "r.tsv", REMAN_HEADER + "1\ta\tb\n", "r.tsv, line 2: 3 columns; expected id, author"),
        ("reman", "r.xml", "<reman><document/></reman>", "document 1: expected a <text>"),
        ("reman", "r.xml", "<reman>", "cannot read"),
        ("xed", "x.tsv", "text\t9\n", "x.tsv, line 1: the label '9' is unknown"),
        ("xed", "x.tsv", "text\n", "x.tsv, line 1: 1 columns; expected a sentence and its emotions"),
        ("xed", "x.tsv", "\n", "contains no texts; XED needs en-annotated.tsv"),
        ("emolit", "e.tsv", "tid\ttext\n", "e.tsv, line 1: 2 columns; expected tid, text and 38 emotions"),
        ("emolit", "e.tsv", "\t".join(["id", "text", *EMOLIT_LABELS]), "e.tsv, line 1: the header is invalid"),
        (
            "emolit",
            "e.tsv",
            "\t".join(["tid", "text", *EMOLIT_LABELS]) + "\n" + emolit_row(1, "a").replace("0", "0.5"),
            "e.tsv, line 2: the value '0.5' is invalid; expected 0 or 1",
        ),
        ("isear", "i.csv", "ID,EMOT,SIT\n", "i.csv, line 1: the header is invalid"),
        ("isear", "i.csv", "ID|EMOT|SIT|\n1|8|text|\n", "i.csv, line 2: EMOT is '8'; expected 1 to 7"),
        ("empathetic", "d.csv", "conv_id,context\n", "d.csv, line 1: the header is invalid"),
        ("empathetic", "d.csv", EMPATHETIC_HEADER + "hit:0,1,sad,a\n", "d.csv, line 2: 4 columns; expected conv_id"),
        ("empathetic", "d.csv", EMPATHETIC_HEADER + "h,1,bad,a,1,b,5,\n", "d.csv, line 2: the label 'bad' is unknown"),
        ("tales", "t.emmood", "0\tN:X\tN:N\ttext\n", "t.emmood, line 1: the label 'X' is unknown"),
    ],
)
def test_malformed_rows_are_refused(tmp_path: Path, name: str, file: str, content: str, message: str) -> None:
    path = write(tmp_path / file, content)
    with pytest.raises(DataError, match=message.replace("(", r"\(")):
        read_test_set(name, tmp_path if name == "tales" else path)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    for name, file in (
        ("reman", "r.tsv"),
        ("reman", "r.xml"),
        ("xed", "x.tsv"),
        ("emolit", "e.tsv"),
        ("isear", "i.csv"),
        ("empathetic", "d.csv"),
    ):
        with pytest.raises(DataError, match="does not exist"):
            read_test_set(name, tmp_path / file)
    with pytest.raises(DataError, match="contains no texts; Tales needs the folder"):
        read_test_set("tales", tmp_path)


def test_a_sample_is_fixed_and_in_order() -> None:
    texts = tuple(LabelledText(str(number), frozenset({"joy"})) for number in range(50))
    whole = TestSet("x", "", EMOTIONS, fiction=False, texts=texts)
    sample = whole.sample(10, seed=1)
    assert sample == whole.sample(10, seed=1)
    assert sample != whole.sample(10, seed=2)
    numbers = [int(text.text) for text in sample.texts]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 10
    assert whole.sample(50, seed=1) is whole


def test_suites_have_no_story_paragraphs() -> None:
    folder = PACKAGED_STORIES.parent / "suites"
    texts = {json.loads(line)["text"] for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()}
    stories = {
        json.loads(line)["text"] for path in PACKAGED_STORIES.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()
    }
    assert not texts & stories
