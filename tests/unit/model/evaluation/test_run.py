"""A benchmark of classifiers that read one word, and its tables."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from undertone_model.corpora import LabelledText, TestSet
from undertone_model.emotions import EMOTIONS, GOEMOTIONS
from undertone_model.errors import CheckpointError, DataError
from undertone_model.evaluation.baselines import always_neutral, lexicon, tfidf
from undertone_model.evaluation.classifiers import Classifier, Probabilities, checkpoint_classifier, export_classifier
from undertone_model.evaluation.coverage import area_under_risk_coverage, coverages
from undertone_model.evaluation.emotion_labels import pool_emotions
from undertone_model.evaluation.report import Report
from undertone_model.evaluation.run import Benchmark, run
from undertone_model.evaluation.suites import SUITES, load_names, load_suite
from undertone_model.evaluation.tables import markdown, tables
from undertone_model.flags import FoundFlags
from undertone_model.testing import tiny_checkpoint

JOY, SADNESS = EMOTIONS.index("joy"), EMOTIONS.index("sadness")


def by_word(name: str, word: str) -> Classifier:
    """Joy with probability .9 (and .6 if it is shy) for a text with the word, else sadness."""

    def predict(texts: Sequence[str]) -> dict[str, Probabilities]:
        def answer(confidence: float) -> Probabilities:
            rows = np.full((len(texts), 9), (1 - confidence) / 8)
            rows[np.arange(len(texts)), [JOY if word in text else SADNESS for text in texts]] = confidence
            return rows

        return {"bold": answer(0.9), "shy": answer(0.6)}

    return Classifier(name, "bold", predict)


def labelled(text: str, *emotions: str) -> LabelledText:
    return LabelledText(text, frozenset(emotions))


NOVELS = TestSet(
    "novels",
    "CC BY 4.0",
    ("joy", "sadness", "fear"),
    fiction=True,
    texts=(
        labelled("Anna sang! She danced.", "joy"),
        labelled("A song.", "joy"),
        labelled("A song, too.", "sadness"),
        labelled("He wept.", "sadness"),
        labelled("They sang of war.", "fear", "joy"),
        labelled("Well, well."),
    ),
)


def silent(_: int) -> None:
    pass


@pytest.fixture(scope="module")
def report() -> Report:
    classifiers = [by_word("reader", "sang"), by_word("shouter", "!"), always_neutral()]
    return run(Benchmark((NOVELS,)), classifiers, silent)


def test_only_rows_with_one_emotion_are_evaluated(report: Report) -> None:
    (novels,) = report.sets
    assert (novels.rows, novels.with_several, novels.with_none) == (4, 1, 1)


def test_scores_of_every_model_and_calibration(report: Report) -> None:
    scores = {(row.model, row.calibration): row for row in report.scores}
    assert set(scores) == {
        ("reader", "bold"), ("reader", "shy"), ("shouter", "bold"), ("shouter", "shy"), ("always neutral", ""),
    }  # fmt: skip
    reader = scores["reader", "bold"]
    # joy: 1 found of 2, no error; sadness: 2 found, 1 error; fear: none.
    assert reader.f1 == pytest.approx({"joy": 2 / 3, "sadness": 4 / 5, "fear": 0})
    assert reader.macro_f1.value == pytest.approx((2 / 3 + 4 / 5) / 3)
    assert reader.macro_f1.low <= reader.macro_f1.value <= reader.macro_f1.high
    assert reader.accuracy.value == 0.75
    # Five rows have an emotion; the label of four is one of them.
    assert reader.any_match == 0.8
    assert reader.difference is None
    assert reader.expected_calibration_error == pytest.approx(0.15)
    assert scores["reader", "shy"].difference is not None
    assert scores["reader", "shy"].expected_calibration_error == pytest.approx(0.15)
    assert scores["always neutral", ""].expected_calibration_error is None
    assert scores["always neutral", ""].macro_f1.value == 0


def test_flips_are_counted_over_the_texts_that_change(report: Report) -> None:
    flips = {(row.model, row.perturbation): (row.texts, row.flips.value) for row in report.flips}
    assert flips["reader", "names swapped"] == (1, 0)
    assert flips["reader", "punctuation dropped"] == (4, 0)
    assert flips["shouter", "punctuation dropped"] == (4, 0.25)
    assert flips["shouter", "last sentence dropped"] == (1, 0)
    assert ("always neutral", "typos") not in flips
    assert ("reader", "quotes dropped") not in flips


def test_suites_are_read_by_every_model(report: Report) -> None:
    neutral = {row.suite: (row.accepted, row.literal) for row in report.suites if row.model == "always neutral"}
    accepted = {suite: sum("neutral" in text.accepted for text in load_suite(suite)) for suite in SUITES}
    assert neutral == {suite: (count, 0) for suite, count in accepted.items()}
    assert {row.model: (row.flips, row.unstable) for row in report.names} == {"reader": (0, 0), "shouter": (0, 0)}


def test_names_that_move_a_label_are_counted() -> None:
    (names,) = run(Benchmark(()), [by_word("reader", "Priya")], silent).names
    assert (names.texts, names.names) == (18, 40)
    assert names.flips == pytest.approx(1 / 40)
    assert names.unstable == 18


def test_parts_can_be_left_out() -> None:
    report = run(Benchmark((NOVELS,), robustness=False, suites=False), [always_neutral()], silent)
    assert (report.flips, report.suites, report.names) == ((), (), ())
    assert [table.title.partition(" ")[0] for table in tables(report)] == ["novels"]
    comments = replace(NOVELS, fiction=False)
    assert run(Benchmark((comments,), suites=False), [by_word("reader", "a")], silent).flips == ()


def test_flags_are_counted_in_suites_and_in_usual_texts() -> None:
    def find(texts: Sequence[str]) -> FoundFlags:
        foreign = np.array([not text.isascii() for text in texts])
        return FoundFlags(foreign, np.array(["{" in text for text in texts]))

    flagger = replace(by_word("reader", "sang"), find_flags=find)
    usual = {"letters.txt": ("Dear Anna,", "{x}", "Adiós.", "{ó}")}
    benchmark = Benchmark((NOVELS,), robustness=False, suites=False, flags=True, usual_texts=usual)
    report = run(benchmark, [flagger, always_neutral()], silent)
    rows = {row.data: row for row in report.flags}
    assert {row.model for row in report.flags} == {"reader"}
    assert (rows["novels"].texts, rows["novels"].flagged, rows["novels"].must_have_flag) == (6, 0, False)
    letters = rows["letters.txt"]
    assert (letters.flagged, letters.language, letters.unreadable, letters.confidence) == (0.75, 0.5, 0.5, None)
    assert (rows["emojis"].must_have_flag, rows["emojis"].confidence) == (True, 0.9)
    assert "| reader | letters.txt | 4 | no flag | 75.0 % | 50.0 % | 50.0 % |  |" in markdown(report)


def test_markdown_has_the_tables(report: Report) -> None:
    text = markdown(report)
    assert "1,000 resamples" in text
    assert (
        "**novels (CC BY 4.0): 4 rows with one emotion; left out: 1 with several, 1 with none of the nine; "
        "macro-F1 without anger, anticipation, surprise, love, disgust, neutral**" in text
    )
    assert "| reader, bold | .750 | .489 (" in text
    assert "| data | model | names swapped | punctuation dropped | typos | lower case | last sentence dropped |" in text
    assert "| novels | shouter | .000 (.000 to .000) of 1 | .250 (.000 to .750) of 4 |" in text
    assert "| always neutral | 21 of 26 | 0 of 26 | 1 of 14 | 0 of 14 |  |" in text
    widths = [{line.count("|") for line in part.splitlines() if line.startswith("|")} for part in text.split("\n\n")]
    assert all(len(width) <= 1 for width in widths)


def test_progress_covers_all_texts() -> None:
    benchmark = Benchmark((NOVELS,))
    done: list[int] = []
    run(benchmark, [always_neutral(), always_neutral()], done.append)
    texts = benchmark.texts(always_neutral())
    assert sum(done) == 2 * len(texts)
    assert len(set(texts)) == len(texts)


def test_suites_are_complete() -> None:
    sizes = {suite: len(load_suite(suite)) for suite in SUITES}
    assert sizes == {"negation": 26, "irony": 14}
    for suite in SUITES:
        for text in load_suite(suite):
            assert {text.literal} | text.accepted <= set(EMOTIONS)
            assert text.literal not in text.accepted
            assert text.accepted
    assert {row.emotion for row in load_names()} == set(EMOTIONS)
    assert all(len(set(row.texts)) == 40 for row in load_names())


def test_coverage_keeps_confident_rows() -> None:
    probabilities = np.eye(9)[[0, 0, 1]] * [[0.95], [0.75], [0.4]]
    labels = np.array([0, 1, 2])
    found = {point.confidence: (point.coverage, point.accuracy) for point in coverages(probabilities, labels)}
    assert found[0.5] == pytest.approx((2 / 3, 0.5))
    assert found[0.9] == pytest.approx((1 / 3, 1))
    assert area_under_risk_coverage(probabilities, labels) == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)
    assert coverages(probabilities * 0.5, labels)[0].accuracy is None


def test_labels_are_pooled_into_the_nine_emotions() -> None:
    labels = ["Grief", "sadness", "joy"]
    answers = np.array([[0.3, 0.4, 0.3]])
    single = pool_emotions(Path("m"), labels, "single-label")(answers)[0]
    assert (single[SADNESS], single[JOY], single.sum()) == pytest.approx((0.7, 0.3, 1))
    multi = pool_emotions(Path("m"), labels, "multi-label")(answers)[0]
    assert (multi[SADNESS], multi[JOY]) == pytest.approx((0.4, 0.3))
    with pytest.raises(CheckpointError, match=r"m has the label 'spam', which is not an emotion; rename"):
        pool_emotions(Path("m"), ["joy", "spam"], "single-label")


def test_checkpoints_and_exports_have_the_same_probabilities(tiny: Path, exported: Path) -> None:
    texts = ["the sea and the rain", "her letter"]
    checkpoint, export = checkpoint_classifier(tiny), export_classifier(exported.parent)
    assert (checkpoint.name, export.name, export.reference) == ("tiny", "tiny", "export 1")
    np.testing.assert_allclose(
        checkpoint.predict(texts)["checkpoint"], export.predict(texts)["export 1"], atol=1e-5
    )  # fmt: skip


def test_checkpoint_with_the_labels_of_goemotions(tmp_path: Path) -> None:
    classifier = checkpoint_classifier(tiny_checkpoint(tmp_path / "go", tuple(GOEMOTIONS)))
    (answers,) = classifier.predict(["rain"]).values()
    assert answers.shape == (1, 9)
    assert answers.sum() == pytest.approx(1, abs=1e-5)


def test_a_lexicon_counts_words(tmp_path: Path) -> None:
    path = tmp_path / "categories.tsv"
    path.write_text("joy\tlaugh\tmerry\nfear\tdread\tmerry\noffice\tdesk\n")
    answers = lexicon(path).predict(["A merry Laugh.", "Dread, dread, merry", "my desk", "laughter"])[""]
    assert [EMOTIONS[index] for index in answers.argmax(axis=1)] == ["joy", "fear", "neutral", "neutral"]
    path.write_text("office\tdesk\n")
    with pytest.raises(DataError, match=r"has no words of an emotion; expected lines with one of joy"):
        lexicon(path)


def test_tfidf_learns_the_words_of_its_training_data(corpora: Path) -> None:
    answers = tfidf(corpora, corpora).predict(["hurray, a goal", "a late bus", "a grim night"])[""]
    assert answers.sum(axis=1) == pytest.approx([1, 1, 1])
    assert [EMOTIONS[index] for index in answers.argmax(axis=1)] == ["joy", "neutral", "fear"]


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """The train splits of GoEmotions and of stories: two different comments and one paragraph."""
    labels = list(GOEMOTIONS)
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    comments = [f"hurray for the goal\t{labels.index('joy')}\tx", f"the bus is late\t{labels.index('neutral')}\tx"]
    (tmp_path / "train.tsv").write_text("\n".join(comments * 20) + "\n")
    paragraphs = [{"id": f"sea/fear/0{number}", "emotion": "fear", "text": "grim night"} for number in range(7)]
    (tmp_path / "sea.jsonl").write_text("\n".join(map(json.dumps, paragraphs)) + "\n")
    return tmp_path
