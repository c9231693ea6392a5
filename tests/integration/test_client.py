"""The Python client and the `undertone` command against the real service."""

import json
import re
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest
from undertone_client import Client, Failure, InvalidParagraphError, LimitSettings, Paragraph, Policy, Score, Settings

from tests.integration.conftest import Command, Pod
from tests.integration.support.callers import TOLERANCE, answers_alone, paragraphs
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS

README = Path(__file__).parents[2] / "README.md"


async def test_the_client_scores_a_paragraph_a_batch_and_a_stream(pod: Pod) -> None:
    texts = paragraphs(300, longest=100, seed=9)
    async with pod.sidecar.connected() as stub:
        answers = await answers_alone(stub, texts)
    settings = Settings(batch_items=16, limit=LimitSettings.fixed(8), timeout_seconds=TIMEOUT_SECONDS)
    async with Client(pod.sidecar.target, settings=settings) as client:
        served = await client.model()
        assert (str(served.model), served.max_tokens) == ("emotions version 1 fp32", 64)
        one = await client.classify(texts[0])
        assert one.probabilities == pytest.approx(answers[texts[0]], abs=TOLERANCE, rel=0)
        assert (one.labels, one.distribution[one.label]) == (served.labels, max(one.probabilities))

        outcomes = await client.classify_batch([texts[1], "", Paragraph(texts[2], id="c")])
        assert [type(outcome) for outcome in outcomes] == [Score, Failure, Score]
        assert isinstance(outcomes[1], Failure)
        assert outcomes[1].status is grpc.StatusCode.INVALID_ARGUMENT
        assert outcomes[2].paragraph.id == "c"

        with pytest.raises(InvalidParagraphError, match="text is empty"):
            await client.classify(" ")
        with pytest.raises(InvalidParagraphError, match="the model accepts at most 62"):
            await client.classify("rain " * 70, policy=Policy.REJECT)

        for ordered in (True, False):
            async with aclosing(client.score(texts, ordered=ordered)) as stream:
                scores = [outcome async for outcome in stream]
            found = [score.paragraph.text for score in scores]
            assert (found == texts) if ordered else (sorted(found) == sorted(texts))
            for score in scores:
                assert isinstance(score, Score)
                assert score.probabilities == pytest.approx(answers[score.paragraph.text], abs=TOLERANCE, rel=0)


def test_the_program_in_the_readme_runs(pod: Pod, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert "localhost:50051" in program
    (tmp_path / "novel.txt").write_text("The rain.\n\nThe sea.\n\nThe letter.\n")
    arguments = [sys.executable, "-c", program.replace("localhost:50051", pod.sidecar.target)]
    done = subprocess.run(
        arguments, check=False, capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = done.stdout.splitlines()
    assert first.split()[0] in first.partition("{")[2]
    assert len(others) == 3


def test_the_command_prints_a_score_and_the_model(undertone: Command) -> None:
    score = json.loads(undertone("classify", "the rain wept").stdout)
    assert (score["tokens"], score["model"]) == (5, {"name": "emotions", "version": 1, "precision": "fp32"})
    assert score["label"] == max(score["probabilities"], key=score["probabilities"].get)
    piped = json.loads(undertone("classify", "-", stdin=b"the rain wept").stdout)
    assert piped["probabilities"] == pytest.approx(score["probabilities"], abs=TOLERANCE)
    model = json.loads(undertone("model", "--json").stdout)
    assert model["contract"]["labels"] == list(score["probabilities"])
    assert model["limits"]["max_batch_paragraphs"] == 256
    assert "emotions version 1 fp32" in undertone("model").stdout
