"""Invalid input is refused with a reason and does not affect other input."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pyarrow.parquet as pq
import pytest
from undertone_protos.v1 import classifier_pb2

from tests.integration.conftest import Command, Pod
from tests.integration.support.callers import Stub, ask, ask_batch
from tests.integration.support.processes import TIMEOUT_SECONDS

Raw: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"

LONG_IN_CHARACTERS = "rain " * 7000
LONG_IN_BYTES = "雨" * 30_000
REFUSED = {
    "": "text is empty or white space only",
    " \t\n\u2003": "text is empty or white space only",
    "\u200b\u0301": "text has no character that the model can read",
    LONG_IN_CHARACTERS: "text has 35000 characters; the limit is 32768",
    LONG_IN_BYTES: "text has 90000 bytes in UTF-8; the limit is 65536",
}
NAMES = ("empty", "blank", "unreadable", "characters", "bytes")


@pytest.fixture
async def stub(pod: Pod) -> AsyncIterator[Stub]:
    async with pod.sidecar.connected() as connected:
        yield connected


def reason(error: grpc.aio.AioRpcError, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> str:
    assert error.code() == code
    return error.details() or ""


@pytest.mark.parametrize("text", REFUSED, ids=NAMES)
async def test_an_invalid_paragraph_is_refused(stub: Stub, text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask(stub, text)
    assert REFUSED[text] in reason(refusal.value)


async def test_invalid_paragraphs_of_a_batch_are_refused_individually(stub: Stub) -> None:
    reply = await ask_batch(stub, ["the rain", *REFUSED, "the sea"])
    first, *refused, last = reply.results
    assert {first.WhichOneof("outcome"), last.WhichOneof("outcome")} == {"classification"}
    for result, message in zip(refused, REFUSED.values(), strict=True):
        assert result.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert message in result.error.message
    alone = await ask(stub, "the sea")
    assert last.classification.probabilities == pytest.approx(alone.probabilities, abs=1e-5)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "the batch has no paragraphs"),
        (["rain"] * 257, "the batch has 257 paragraphs; the limit is 256"),
        (["rain " * 6000] * 40, "the batch's texts have 1200000 bytes in UTF-8; the limit is 1048576"),
    ],
    ids=("no items", "items", "bytes"),
)
async def test_an_invalid_batch_is_refused(stub: Stub, texts: list[str], message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask_batch(stub, texts)
    assert message in reason(refusal.value)


async def test_a_message_far_over_the_limits_is_refused_by_grpc(stub: Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await ask(stub, "rain " * 2_000_000)
    assert "larger than max" in reason(refusal.value, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert (await ask(stub, "the rain")).label


@pytest.mark.parametrize("call", [ask, lambda stub, text, policy: ask_batch(stub, [text], policy)], ids=("one", "batch"))
async def test_an_unknown_policy_is_refused(stub: Stub, call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call(stub, "the rain", 9)
    message = "overlength_policy 9 is unknown; send one of TRUNCATE (1), CHUNK_MEAN (2), CHUNK_MAX (3), REJECT (4)"
    assert message in reason(refusal.value)


async def test_a_long_id_is_refused(stub: Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stub.Classify(classifier_pb2.ClassifyRequest(text="rain", id="x" * 257), timeout=TIMEOUT_SECONDS)
    assert "id has 257 characters; the limit is 256" in reason(refusal.value)


async def test_undecodable_bytes_and_unknown_methods_are_refused(pod: Pod) -> None:
    async with grpc.aio.insecure_channel(pod.sidecar.target) as channel:
        classify: Raw = channel.unary_unary("/undertone.v1.Classifier/Classify")
        for field in (b"\x0a\x02\xff\xfe", b"\x0a\xff"):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await classify(field, timeout=TIMEOUT_SECONDS)
            assert refusal.value.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL}
        missing: Raw = channel.unary_unary("/undertone.v1.Classifier/Translate")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await missing(b"", timeout=TIMEOUT_SECONDS)
        assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (["classify", ""], b"", 2, "the text is empty"),
        (["classify", "-"], b" \n\t\n", 2, "standard input has no paragraph"),
        (["classify", "-"], b"rain \xff\xfe", 2, "standard input, line 1: byte 0xff is not UTF-8"),
        (["classify", "-"], LONG_IN_CHARACTERS.encode(), 1, "text has 34999 characters; the limit is 32768"),
        (["classify", "-"], LONG_IN_BYTES.encode(), 1, "text has 90000 bytes in UTF-8; the limit is 65536"),
        (["classify", "\u200b"], b"", 1, "text has no character that the model can read"),
        (["classify", "rain " * 70, "--policy", "reject"], b"", 1, "but the model accepts at most 62"),
        (["classify", "rain", "--policy", "shorten"], b"", 2, "'shorten' is not one of"),
        (["classify", "rain", "--target", "http://localhost"], b"", 2, "has a URL scheme: give 'localhost'"),
        (["classify", "rain", "--target", "localhost:1"], b"", 3, "localhost:1 does not answer"),
    ],
)
def test_the_command_refuses_invalid_input(
    undertone: Command, arguments: list[str], stdin: bytes, code: int, message: str
) -> None:
    done = undertone(*arguments, stdin=stdin)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in " ".join(done.stderr.split())


def test_unreadable_inputs_are_named(undertone: Command, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Regen fällt.\n\nEs ist Nacht.".encode("latin-1"))
    (tmp_path / "rows.jsonl").write_text('{"text": "rain"}\n{"text": \n')
    for name, message in (("latin.txt", "not UTF-8"), ("rows.jsonl", "line 2"), ("missing.txt", "missing.txt")):
        done = undertone("score", tmp_path / name, "--out", tmp_path / "out")
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split()), done.stderr


def test_invalid_paragraphs_of_a_run_are_listed_and_the_others_scored(undertone: Command, tmp_path: Path) -> None:
    rows = ["the rain", *REFUSED, "the sea"]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    done = undertone("score", source, "--out", tmp_path / "out", "--min-characters", 0)
    assert done.exit_code == 1, done.stderr
    assert "_failures.jsonl" in done.stdout + done.stderr
    scored = pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pylist()
    assert [row["position"] for row in scored] == [0, len(rows) - 1]
    listing = (tmp_path / "out" / "_failures.jsonl").read_text()
    failures = [json.loads(line) for line in listing.splitlines()]
    assert [row["position"] for row in failures] == list(range(1, len(rows) - 1))
    assert {row["status"] for row in failures} == {"INVALID_ARGUMENT"}
    # Texts over the limits of the service are not sent.
    assert [row["attempts"] for row in failures] == [1, 1, 1, 0, 0]
    empty, blank, unreadable, *_ = REFUSED.values()
    reasons = (empty, blank, unreadable, "35000 characters", "90000 bytes")
    assert all(message in row["reason"] for row, message in zip(failures, reasons, strict=True))
    assert "雨" not in listing
    run = json.loads((tmp_path / "out" / "_run.json").read_text())
    assert run["counts"] == {
        "scored": 2,
        "failed": 5,
        "kept": 0,
        "short": 0,
    }
