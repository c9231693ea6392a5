"""The columns of a table of scores."""

import pyarrow as pa
import pytest
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import DELETED_AT_COLUMN, score_columns

LABELS = ["LABEL_0", "joy or relief", "n/a"]
FIRST = ["id", "document", "position", "text_sha256"]
REST = [
    "tokens",
    "chunks",
    "truncated",
    "flags",
    "model_name",
    "model_version",
    "precision",
    "policy",
    "scored_at",
    "deleted_at",
]


def names(*, multi_label: bool) -> list[str]:
    return [field.name for field in score_columns(LABELS, multi_label=multi_label, more=[DELETED_AT_COLUMN])]


def test_a_table_of_a_single_label_model_has_no_column_of_sets() -> None:
    assert names(multi_label=False) == [*FIRST, "label", *LABELS, *REST]


def test_a_table_of_a_multi_label_model_has_a_column_of_sets_before_the_strongest_label() -> None:
    expected = [*FIRST, "labels_above_threshold", "label", *LABELS, *REST]
    assert names(multi_label=True) == expected


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["joy", "fear", "Joy"], "a label named 'Joy', but the table has a column 'joy', and SQL engines ignore case. Rename"),
        (["joy", "joy"], "a label named 'joy', but the table has a column 'joy'"),
        (["joy", " "], "a label named ' ', which cannot be the name of a column. Rename the label in the checkpoint"),
    ],
)
def test_labels_that_cannot_be_columns_are_refused(labels: list[str], reason: str) -> None:
    with pytest.raises(OutputError, match=reason):
        score_columns(labels)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("name", ["labels_above_threshold", "Tokens"])
def test_names_of_columns_are_reserved(name: str, *, multi_label: bool) -> None:
    with pytest.raises(OutputError, match=f"label named '{name}'"):
        score_columns([name], multi_label=multi_label)
    with pytest.raises(OutputError, match=f"input column '{name}'"):
        score_columns(["joy"], multi_label=multi_label, kept=[pa.field(name, pa.string())])
