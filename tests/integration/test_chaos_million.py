"""A million paragraphs in small (see bench/million.py): services that fail and are killed, a driver that is killed."""

from pathlib import Path

from bench.million import services, through_client, through_score


async def test_nothing_is_lost_double_or_wrong_through_the_client() -> None:
    with services(faults=0.05, restart_seconds=0.7) as (target, kills):
        verdict = await through_client(target, 20_000)
    assert verdict.sound, verdict
    assert verdict.scored == 20_000
    assert kills


def test_nothing_is_lost_double_or_wrong_through_a_driver_that_is_killed(tmp_path: Path) -> None:
    with services(faults=0.05, restart_seconds=3) as (target, _):
        verdict = through_score(target, 4000, tmp_path, kill_share=0.3)
    assert verdict.sound, verdict
    assert verdict.scored == 4000
    assert verdict.driver_kills == 1
