"""The model server is killed and comes back, or changes versions, while callers ask."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest

from tests.integration.conftest import Pod
from tests.integration.support.callers import TOLERANCE, answers_alone, ask, assert_right, paragraphs, under_load
from tests.integration.support.processes import ENVIRONMENT, PATIENCE_SECONDS, SERVING, command, until

TEXTS = paragraphs(64, seed=6)


async def test_callers_hear_of_a_killed_model_server_and_are_answered_again_when_it_is_back(own_pod: Pod) -> None:
    sidecar = own_pod.sidecar
    async with sidecar.connected() as stub:
        answers = await answers_alone(stub, TEXTS)
        async with under_load(stub, TEXTS) as load:
            await load.more_replies(100)
            own_pod.model_server.kill()
            await asyncio.to_thread(sidecar.until_not_serving)
            assert sidecar.health("undertone.v1.Classifier") == sidecar.health() != sidecar.health("liveness") == SERVING
            await load.more_refusals(50)
            answered = len(load.replies)
            own_pod.model_server.start()
            await asyncio.to_thread(sidecar.until_serving)
            await load.more_replies(100)
        assert {error.code() for error in load.refusals} == {grpc.StatusCode.UNAVAILABLE}
        assert all("grpc-retry-pushback-ms" in dict(error.trailing_metadata() or ()) for error in load.refusals)
        assert len(load.replies) >= answered + 100
        assert_right(load.replies, answers)
    assert sidecar.calls_running("Classify") == 0


def score(source: Path, out: Path, target: str, *flags: str) -> "subprocess.Popen[str]":
    program = [command("undertone"), "score", str(source), "--out", str(out), "--rows-per-part", "100", *flags]
    environment = ENVIRONMENT | {"UNDERTONE_TARGET": target}
    pipe = subprocess.PIPE
    return subprocess.Popen(program, stdout=pipe, stderr=pipe, text=True, env=environment)


def end(run: "subprocess.Popen[str]") -> tuple[int, str]:
    try:
        output, errors = run.communicate(timeout=PATIENCE_SECONDS)
    finally:
        run.kill()
    assert "Traceback" not in errors
    return run.returncode, output + errors


def table(out: Path) -> list[dict[str, Any]]:
    """All rows in order, without the time at which each was scored."""
    parts = sorted((out / "scores").glob("part-*.parquet"))
    return [{**row, "scored_at": None} for part in parts for row in pq.read_table(part).to_pylist()]


def test_a_run_whose_model_server_was_killed_is_continued_to_the_same_table(own_pod: Pod, tmp_path: Path) -> None:
    novel = tmp_path / "novel.txt"
    novel.write_text("\n\n".join(paragraphs(3000, longest=30, seed=7)))
    target = own_pod.sidecar.target
    assert end(score(novel, tmp_path / "whole", target))[0] == 0

    torn = tmp_path / "torn"
    # One small call at a time, so that the run is far from its end when the first part is there.
    slow = ("--limit", "1", "--batch-items", "2", "--checkpoint", "0.1", "--attempts", "2", "--patience", "0")
    run = score(novel, torn, target, *slow)
    until((torn / "scores" / "part-00000.parquet").exists, "the first part is written")
    own_pod.model_server.kill()
    code, output = end(run)
    assert (code, f"{target} does not answer" in output) == (3, True), output
    assert json.loads((torn / "run.json").read_text())["complete"] is False
    kept = len(table(torn))
    assert 0 < kept < 3000

    own_pod.model_server.start()
    own_pod.sidecar.until_serving()
    code, output = end(score(novel, torn, target))
    assert (code, f"{kept:,} kept from before" in output) == (0, True), output
    assert json.loads((torn / "run.json").read_text())["complete"] is True
    assert (torn / "failures.jsonl").read_text() == ""
    rows = table(torn)
    assert [row["position"] for row in rows] == list(range(3000))
    # The same but for the last bits of the probabilities, which a text owes to the batch that it was in.
    for row, undisturbed in zip(rows, table(tmp_path / "whole"), strict=True):
        for column, value in undisturbed.items():
            expected = pytest.approx(value, abs=TOLERANCE, rel=0) if isinstance(value, float) else value
            assert row[column] == expected, (row["id"], column)


async def test_versions_are_changed_and_changed_back_without_a_failed_call(own_pod: Pod, exports: Path, tmp_path: Path) -> None:
    async with own_pod.sidecar.connected() as stub:
        answers = {1: await answers_alone(stub, TEXTS)}
        async with under_load(stub, TEXTS) as load:
            for version in (2, 1):
                await load.more_replies(100)
                if version == 2:
                    # Copied aside and renamed, as an exporter has to do it.
                    shutil.copytree(exports / "2", tmp_path / "2")
                    (tmp_path / "2").rename(own_pod.base / "2")
                else:
                    (own_pod.base / "2").rename(tmp_path / "2")
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while load.replies[-1][1].model.version != version:
                        await load.more_replies(1)
                if version == 2:
                    answers[2] = await answers_alone(stub, TEXTS)
        assert load.refusals == []
        for version, expected in answers.items():
            replies = [(text, reply) for text, reply in load.replies if reply.model.version == version]
            assert len(replies) > 100
            assert_right(replies, expected)
        assert all(answers[1][text] != pytest.approx(answers[2][text], abs=1e-3) for text in TEXTS)
        assert (await ask(stub, TEXTS[0])).model.version == 1
