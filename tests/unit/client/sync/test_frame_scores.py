"""Scores of a pandas DataFrame."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from undertone_client import InvalidParagraphError, Policy, ServiceFaultError, Settings, SettingsError, UnavailableError
from undertone_client.sync import Client, score_frame
from undertone_client.sync.frame_scores import FrameOptions
from undertone_client.testing import EMOTIONS, FakeClassifier, Fault, ItemFault, expected_probabilities

from tests.unit.support.faults import INTERNAL, NO_PATIENCE, UNAVAILABLE, no_sleep

ERROR = "INVALID_ARGUMENT"
COLUMNS = ["label", "probability", *EMOTIONS, "tokens", "chunks", "truncated", "flags"]
COLUMNS += ["model_name", "model_version", "precision", "error", "error_message"]
NOT_TEXTS: dict[str, Any] = {
    "the text is null": (None, np.nan, pd.NA, pd.NaT),
    "the text has the type int: convert it to str": (3,),
    "the text has the type list: convert it to str": (["text"],),
    "the text has the type bytes: decode it first": (b"text",),
}


def texts_frame(values: Iterable[Any], **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"text": pd.Series(list(values), dtype=object), **columns})


def test_a_frame_has_the_columns_of_a_score(client: Client) -> None:
    scores = client.score_frame(texts_frame(["Dear reader", "word " * 1100]), policy=Policy.TRUNCATE)
    assert scores.columns.tolist() == COLUMNS
    probabilities = expected_probabilities("Dear reader")
    first = scores.iloc[0]
    assert first[list(EMOTIONS)].tolist() == pytest.approx(probabilities, abs=1e-6)
    assert (first.label, first.probability) == (EMOTIONS[probabilities.index(max(probabilities))], first[first.label])
    assert scores.tokens.tolist() == [4, 1102]
    assert (scores.chunks.tolist(), scores.truncated.tolist()) == ([1, 1], [False, True])
    assert (first.model_name, first.model_version, first.precision) == ("fake", 1, "fp32")
    assert scores[["error", "error_message"]].isna().all(axis=None)
    types = {str(dtype) for dtype in scores[["probability", *EMOTIONS]].dtypes}
    assert types == {"float32"}
    assert (scores.tokens.dtype, scores.truncated.dtype, scores.label.dtype) == ("Int32", "boolean", "string")


@pytest.mark.parametrize(("reason", "value"), [(reason, value) for reason, values in NOT_TEXTS.items() for value in values])
def test_a_cell_that_is_no_text_is_an_error_of_its_row(client: Client, reason: str, value: Any) -> None:
    scores = client.score_frame(texts_frame(["one", value, "two", " "]))
    assert scores.error.isna().tolist() == [True, False, True, False]
    assert (scores.error[1], scores.error_message[1]) == (ERROR, reason)
    assert (scores.error[3], scores.error_message[3]) == (ERROR, "the text is empty")
    assert scores.loc[[1, 3], COLUMNS[:-2]].isna().all(axis=None)
    assert scores.loc[[0, 2], COLUMNS[:-2]].notna().all(axis=None)


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
CELLS = st.one_of(TEXT, st.sampled_from([value for values in NOT_TEXTS.values() for value in values]))


@given(cells=st.lists(st.tuples(CELLS, st.integers(0, 5)), max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_row_has_the_outcome_of_its_own_text(client: Client, cells: list[tuple[Any, int]]) -> None:
    index = pd.Index([key for _, key in cells], name="key", dtype="int64")
    frame = texts_frame((cell for cell, _ in cells), number=range(len(cells))).set_axis(index)
    before = frame.copy()
    scores = client.score_frame(frame, id="number")
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_index_equal(scores.index, index)
    assert scores.number.tolist() == list(range(len(cells)))
    is_scored = np.array([isinstance(cell, str) and bool(cell.strip()) for cell, _ in cells], bool)
    assert (scores.error.isna() == is_scored).all()
    assert (scores.label.notna() == is_scored).all()
    expected = [expected_probabilities(cell) for (cell, _), scored in zip(cells, is_scored, strict=True) if scored]
    found = scores[list(EMOTIONS)].to_numpy()[is_scored]
    np.testing.assert_allclose(found, np.reshape(expected, found.shape), atol=1e-6)


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "large_string[pyarrow]", "category", object])
def test_any_type_of_strings_is_accepted(client: Client, dtype: Any) -> None:
    series = pd.Series(["one", None, "two", "one"], dtype=dtype)
    scores = client.score_frame(pd.DataFrame({"text": series}))
    assert scores.error.isna().tolist() == [True, False, True, True]
    assert scores.label[0] == scores.label[3]


def test_a_frame_without_rows_or_scores_has_the_columns(client: Client) -> None:
    for frame in (texts_frame([]), texts_frame([None]), pd.DataFrame({"text": [1.5, np.nan]})):
        scores = client.score_frame(frame)
        assert scores.columns.tolist() == COLUMNS
        assert len(scores) == len(frame)
        assert (scores.error == ERROR).all()


def test_ids_and_indexes_of_any_kind_are_kept(client: Client) -> None:
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2)], names=["book", "page"])
    frame = pd.DataFrame({("review", "body"): ["one", "two", "three"], 7: pd.Categorical(["x", "y", "x"])}).set_axis(index)
    scores = client.score_frame(frame, text=("review", "body"), id=7)
    pd.testing.assert_series_equal(scores[7], frame[7])
    assert scores.columns[0] == 7


def test_invalid_arguments_name_the_remedy(client: Client) -> None:
    frame = pd.DataFrame({"body": ["one"], "error": [1]})
    with pytest.raises(SettingsError, match=r"no column 'text' \(its columns: 'body', 'error'\): set text"):
        client.score_frame(frame)
    with pytest.raises(SettingsError, match=r"no column 'key' .*: set id"):
        client.score_frame(frame, "body", id="key")
    with pytest.raises(SettingsError, match=r"'19', 10 more\)"):
        client.score_frame(pd.DataFrame({str(number): [0] for number in range(30)}))
    with pytest.raises(SettingsError, match="2 columns named 'body'"):
        client.score_frame(pd.concat([frame, frame], axis=1), "body")
    with pytest.raises(SettingsError, match=r"id cannot be 'error': rename it"):
        client.score_frame(frame, "body", id="error")
    with pytest.raises(TypeError, match="a pandas DataFrame, not Series; convert it"):
        client.score_frame(frame["body"])
    with pytest.raises(SettingsError, match="on_error is 'ignore'; use 'column' or 'raise'"):
        FrameOptions("text", on_error="ignore")  # type: ignore[arg-type]


def test_a_prefix_separates_labels_from_other_columns(client: Client) -> None:
    frame = pd.DataFrame({"text": ["one"], "joy": [1]})
    with pytest.raises(SettingsError, match="a label 'joy', and the result has another column 'joy': set prefix"):
        client.score_frame(frame, id="joy")
    scores = client.score_frame(frame, id="joy", prefix="p_")
    assert scores.columns.tolist()[:4] == ["joy", "label", "probability", "p_joy"]


def test_on_error_raise_raises_the_error_of_a_row(client: Client, threaded_service: FakeClassifier) -> None:
    with pytest.raises(InvalidParagraphError, match="the text is null") as raised:
        client.score_frame(texts_frame(["one", None]), on_error="raise")
    assert raised.value.__notes__[0].startswith("Row 1 of the frame")
    threaded_service.item_faults = {"bad": ItemFault(INTERNAL, "broken")}
    with pytest.raises(ServiceFaultError, match="broken") as failed:
        client.score_frame(texts_frame(["one", "two", "bad"]), on_error="raise")
    assert failed.value.__notes__[0].startswith("Row 2 of the frame")
    assert client.score_frame(texts_frame(["one", "bad"])).error.tolist() == [pd.NA, "INTERNAL"]


def test_a_service_that_does_not_answer_raises(threaded_service: FakeClassifier) -> None:
    with pytest.raises(UnavailableError):
        score_frame(texts_frame(["one"]), target="127.0.0.1:1", settings=NO_PATIENCE)
    threaded_service.faults.extend([Fault(UNAVAILABLE, "no model is loaded")] * 3)
    with Client(threaded_service.target, sleep=no_sleep) as client:
        assert client.score_frame(texts_frame(["one"])).error.isna().all()
        assert client.state().counts.retried == 3


def test_a_multi_label_model_adds_its_labels(client: Client, threaded_service: FakeClassifier) -> None:
    threaded_service.thresholds = (0.5,) * len(EMOTIONS)
    scores, empty = client.score_frame(texts_frame(["Dear reader", None])), client.score_frame(texts_frame([]))
    assert scores.columns.tolist() == empty.columns.tolist()
    assert scores.columns[2] == "labels_above_threshold"
    assert scores.labels_above_threshold[0] == [label for label in EMOTIONS if scores[label][0] >= 0.5] != []
    assert scores.labels_above_threshold[1] is None


def test_rows_of_two_models_have_the_labels_of_both(threaded_service: FakeClassifier) -> None:
    def change_labels(done: int, rows: int) -> None:
        threaded_service.labels = ("joy", "calm")

    with Client(threaded_service.target, settings=Settings(batch_items=1, lookahead_items=1)) as client:
        scores = client.score_frame(texts_frame(["text"] * 40), progress=change_labels)
    assert scores.columns.tolist()[2:12] == [*EMOTIONS, "calm"]
    assert scores.joy.notna().all()
    assert (scores.calm.isna() != scores.anger.isna()).all()
    assert scores.calm.notna().any()


def test_progress_counts_rows_up_to_the_end(client: Client) -> None:
    reports: list[tuple[int, int]] = []
    client.score_frame(texts_frame(["one", None, "two"] * 50), progress=lambda *report: reports.append(report))
    assert reports == sorted(reports)
    assert reports[-1] == (150, 150)
    assert sum(done == 150 for done, _ in reports) == 1


def test_without_pandas_the_error_names_the_extra(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = texts_frame([])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'undertone-client\[pandas\]'"):
        client.score_frame(frame)
