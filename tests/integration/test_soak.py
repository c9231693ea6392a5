"""The soak test of undertone-bench, with fewer paragraphs."""

from pathlib import Path

from undertone_bench.commands.soak import services, through_client, through_score


async def test_the_client_loses_duplicates_and_miscomputes_no_paragraph() -> None:
    with services(faults=0.05, restart_seconds=0.7) as (target, kills):
        result = await through_client(target, 20_000)
    assert result.passed, result
    assert result.scored == 20_000
    assert kills


def test_a_killed_score_command_loses_duplicates_and_miscomputes_no_paragraph(tmp_path: Path) -> None:
    with services(faults=0.05, restart_seconds=3) as (target, _):
        result = through_score(target, 4000, tmp_path, kill_at=0.3)
    assert result.passed, result
    assert result.scored == 4000
    assert result.score_kills == 1
