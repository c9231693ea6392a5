import pytest
from undertone_batch.source.options import check_options, with_defaults
from undertone_client import SettingsError


@pytest.mark.parametrize(
    ("source_format", "name", "value", "message"),
    [
        ("csv", "mode", "DROPMALFORMED", "removes rows that cannot be parsed, without a trace: remove it"),
        ("json", "MODE", "dropmalformed", "removes rows that cannot be parsed"),
        ("csv", "columnPruning", "true", "hides rows with more or fewer fields than the header"),
        ("csv", "columnNameOfCorruptRecord", "bad", "is not available, because the job uses it"),
        ("parquet", "ignoreCorruptFiles", "true", "leaves out files, .*: remove it, or add --deletions ignore"),
        ("parquet", "ignoreMissingFiles", "TRUE", "leaves out files"),
        ("json", "modifiedAfter", "2026-11-29T00:00:00", "leaves out files"),
    ],
)
def test_options_that_lose_paragraphs_are_refused(source_format: str, name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"--option {name}={value} {message}"):
        check_options(source_format, {name: value}, mark_deleted=True)


@pytest.mark.parametrize(
    ("source_format", "options"),
    [
        ("csv", {"mode": "PERMISSIVE", "sep": ";", "columnPruning": "false"}),
        ("json", {"mode": "FAILFAST", "ignoreCorruptFiles": "false"}),
        ("avro", {"mode": "DROPMALFORMED"}),
        ("parquet", {"pathGlobFilter": "*.parquet"}),
    ],
)
def test_other_options_are_passed_on(source_format: str, options: dict[str, str]) -> None:
    check_options(source_format, options, mark_deleted=True)
    assert options.items() <= with_defaults(source_format, options).items()


def test_files_can_be_left_out_if_nothing_is_marked_as_deleted() -> None:
    check_options("parquet", {"modifiedAfter": "2026-11-29T00:00:00"}, mark_deleted=False)


def test_an_option_of_the_user_replaces_the_default_in_any_case() -> None:
    options = with_defaults("csv", {"MULTILINE": "false"})
    assert [name for name in options if name.lower() == "multiline"] == ["MULTILINE"]
    assert options["header"] == "true"
