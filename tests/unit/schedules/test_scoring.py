"""The arguments that a schedule passes to the job."""

import pytest
from undertone_client import SettingsError
from undertone_schedules import CatalogSettings, CatalogType, RunMode, Scoring

SCORING = Scoring(
    source=("s3://lake/a/", "s3://lake/b/"),
    table="emotions.posts",
    target="dns:///undertone.example:443",
    catalog=CatalogSettings(CatalogType.GLUE, warehouse="s3://lake/tables", options={"client.region": "eu-central-1"}),
    is_partial=True,
    options=("--tls",),
)


def test_the_arguments_name_sources_catalogue_and_time() -> None:
    arguments = SCORING.arguments(RunMode.DAILY, job="nightly", as_of="2026-11-28T00:00:00", run_id="daily-1")
    assert arguments == [
        "run",
        "--mode=daily",
        "--source=s3://lake/a/",
        "--source=s3://lake/b/",
        "--format=parquet",
        "--table=emotions.posts",
        "--catalog-type=glue",
        "--warehouse=s3://lake/tables",
        "--catalog-option=client.region=eu-central-1",
        "--target=dns:///undertone.example:443",
        "--deletions=ignore",
        "--job=nightly",
        "--as-of=2026-11-28T00:00:00",
        "--run=daily-1",
        "--tls",
    ]


@pytest.mark.parametrize("option", ["--run=1", "--as-of", "--warehouse=lake", "--catalog-type=rest"])
def test_an_option_that_the_schedule_sets_is_refused(option: str) -> None:
    with pytest.raises(SettingsError, match="is set by the schedule"):
        Scoring(source="a", table="a.b", target="localhost:1", catalog=SCORING.catalog, options=(option,))
