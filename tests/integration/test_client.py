"""The Python client and the `undertone` command against the real service."""

import json
import re
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import grpc
import pandas as pd
import pytest
from undertone_client import Client, Failure, InvalidParagraphError, LimitSettings, Paragraph, Policy, Score, Settings
from undertone_client.sync import Client as SyncClient

from tests.integration.conftest import Command, Pod
from tests.integration.support.callers import TOLERANCE, answers_alone, paragraphs
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("document", ["README.md", "docs/how-to/python.md", "services/client/README.md"])
def test_the_programs_of_the_documents_run(pod: Pod, tmp_path: Path, document: str) -> None:
    programs = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    runnable = [program for program in programs if "localhost:50051" in program]
    assert "undertone_client.sync" in programs[0]
    assert len(runnable) == len(programs) - (document == "services/client/README.md")  # telemetry: a fragment
    (tmp_path / "novel.txt").write_text("The rain.\n\nThe sea.\n\nThe letter.\n")
    outputs = []
    for program in runnable:
        arguments = [sys.executable, "-c", program.replace("localhost:50051", pod.sidecar.target)]
        done = subprocess.run(
            arguments, check=False, capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS
        )
        assert (done.returncode, done.stderr) == (0, ""), program
        outputs.append(done.stdout.splitlines())
    if document == "README.md":
        first, *others = outputs[0]
        assert first.split()[0] in first.partition("{")[2]
        assert len(others) == 3
    if document == "docs/how-to/python.md":
        assert "the text is null" in "\n".join(outputs[1])


def test_the_synchronous_client_scores_paragraphs_and_frames(pod: Pod) -> None:
    texts = paragraphs(40, longest=100, seed=10)
    with SyncClient(pod.sidecar.target) as client:
        scores = client.score_frame(pd.DataFrame({"text": [*texts, None]}))
        streamed = list(client.score(texts))
        alone = client.classify(texts[0])
        labels = list(client.model().labels)
    assert scores.error.isna().tolist() == [True] * len(texts) + [False]
    for score, (_, row) in zip(streamed, scores.iterrows(), strict=False):
        assert isinstance(score, Score)
        assert row[labels].tolist() == pytest.approx(score.probabilities, abs=TOLERANCE)
        assert (row.tokens, row.model_version) == (score.tokens, 1)
    assert alone.probabilities == pytest.approx(scores.loc[0, labels].tolist(), abs=TOLERANCE)


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
