"""The model server is killed and restarted, or changes versions, under load."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from undertone_sidecar.testing import write_version

from tests.integration.conftest import Pod
from tests.integration.support.callers import TOLERANCE, answers_alone, ask, assert_correct, paragraphs, under_load
from tests.integration.support.processes import ENVIRONMENT, SERVING, TIMEOUT_SECONDS, Launcher, command, until
from tests.unit.support.command import read_table

TEXTS = paragraphs(64, seed=6)


async def test_calls_fail_while_the_model_server_is_down_and_succeed_after_its_restart(own_pod: Pod) -> None:
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
        assert_correct(load.replies, answers)
    assert sidecar.calls_running("Classify") == 0


def score(source: Path, out: Path, target: str, *flags: str) -> "subprocess.Popen[str]":
    program = [
        command("undertone"),
        "score",
        str(source),
        "--out",
        str(out),
        "--rows-per-part",
        "100",
        "--min-characters",
        "0",
        *flags,
    ]
    environment = ENVIRONMENT | {"UNDERTONE_TARGET": target}
    pipe = subprocess.PIPE
    return subprocess.Popen(program, stdout=pipe, stderr=pipe, text=True, env=environment)


def wait_for_end(run: "subprocess.Popen[str]") -> tuple[int, str]:
    try:
        output, errors = run.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        run.kill()
    assert "Traceback" not in errors
    return run.returncode, output + errors


def table(out: Path) -> list[dict[str, Any]]:
    """All rows in order, without their time."""
    return [row for rows in read_table(out).values() for row in rows]


def test_a_run_interrupted_by_a_killed_model_server_is_continued_to_the_same_table(launch: Launcher, tmp_path: Path) -> None:
    base = tmp_path / "emotions"
    write_version(base, 1)
    model_server = launch.fake_model_server(base.name)
    sidecar = launch.sidecar(base, model_server.target).until_serving()
    novel = tmp_path / "novel.txt"
    novel.write_text("\n\n".join(paragraphs(1000, longest=30, seed=7)))
    target = sidecar.target
    assert wait_for_end(score(novel, tmp_path / "whole", target))[0] == 0

    interrupted = tmp_path / "interrupted"
    # One small call at a time, so that most of the run remains after the first part.
    slow = ("--limit", "1", "--batch-items", "2", "--checkpoint", "0.1", "--attempts", "2", "--patience", "0")
    run = score(novel, interrupted, target, *slow)
    until((interrupted / "part-00000.parquet").exists, "the first part is written")
    model_server.kill()
    code, output = wait_for_end(run)
    assert (code, f"{target} does not answer" in output) == (3, True), output
    assert json.loads((interrupted / "_run.json").read_text())["complete"] is False
    kept = len(table(interrupted))
    assert 0 < kept < 1000

    model_server.start()
    sidecar.until_serving()
    code, output = wait_for_end(score(novel, interrupted, target))
    assert (code, f"{kept:,} kept from an earlier run" in output) == (0, True), output
    assert json.loads((interrupted / "_run.json").read_text())["complete"] is True
    assert (interrupted / "_failures.jsonl").read_text() == ""
    rows = table(interrupted)
    assert [row["position"] for row in rows] == list(range(1000))
    # The last bits of the probabilities depend on the batch of the text.
    for row, uninterrupted in zip(rows, table(tmp_path / "whole"), strict=True):
        for column, value in uninterrupted.items():
            expected = pytest.approx(value, abs=TOLERANCE, rel=0) if isinstance(value, float) else value
            assert row[column] == expected, (row["id"], column)


async def test_a_new_version_and_its_rollback_fail_no_call(own_pod: Pod, exports: Path, tmp_path: Path) -> None:
    async with own_pod.sidecar.connected() as stub:
        answers = {1: await answers_alone(stub, TEXTS)}
        async with under_load(stub, TEXTS) as load:
            for version in (2, 1):
                await load.more_replies(100)
                if version == 2:
                    # Copied elsewhere and renamed, as an exporter must do it.
                    shutil.copytree(exports / "2", tmp_path / "2")
                    (tmp_path / "2").rename(own_pod.base / "2")
                else:
                    (own_pod.base / "2").rename(tmp_path / "2")
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while load.replies[-1][1].model.version != version:
                        await load.more_replies(1)
                if version == 2:
                    answers[2] = await answers_alone(stub, TEXTS)
        assert load.refusals == []
        for version, expected in answers.items():
            replies = [(text, reply) for text, reply in load.replies if reply.model.version == version]
            assert len(replies) > 100
            assert_correct(replies, expected)
        assert all(answers[1][text] != pytest.approx(answers[2][text], abs=1e-3) for text in TEXTS)
        assert (await ask(stub, TEXTS[0])).model.version == 1


async def test_a_version_that_is_copied_slowly_fails_no_call(
    base: Path, exports: Path, tmp_path: Path, launch: Launcher
) -> None:
    """As `kubectl cp` or `aws s3 sync` write it: file by file, into the final folder.

    The model server keeps two versions. It loads the new one before its variables exist, and
    reports it as AVAILABLE.
    """
    folder = Path(shutil.copytree(base, tmp_path / "emotions"))
    model_server = launch.model_server(folder, "latest { num_versions: 2 }")
    sidecar = launch.sidecar(folder, model_server.target).until_serving()
    async with sidecar.connected() as stub, under_load(stub, TEXTS, callers=4) as load:
        (folder / "2").mkdir()
        for name in ("saved_model.pb", "contract.json", "tokenizer.json"):
            shutil.copy(exports / "2" / name, folder / "2" / name)
        failed = "version 2 cannot be served, version 1 remains"
        await asyncio.to_thread(sidecar.until, lambda: failed in sidecar.log, "the sidecar has tried version 2")
        assert "version 2 is available" in model_server.log
        shutil.copytree(exports / "2" / "variables", folder / "2" / "variables")
        await load.more_replies(100)
        assert {reply.model.version for _, reply in load.replies} == {1}

        # The remedy in the message.
        (folder / "2").rename(tmp_path / "away")
        unloaded = "version 2 is unloaded"
        await asyncio.to_thread(model_server.until, lambda: unloaded in model_server.log, unloaded)
        (tmp_path / "away").rename(folder / "2")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while load.replies[-1][1].model.version != 2:
                await load.more_replies(1)
    assert load.refusals == []
    assert "not serving" not in sidecar.log.partition('"ready"')[2]
