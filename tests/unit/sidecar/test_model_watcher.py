"""Loss and recovery of the model server and new model versions, as callers observe them."""

import asyncio
import json
import logging
from pathlib import Path

import grpc
import grpc.aio
import pytest
from undertone_protos.tfserving.v1 import predict_pb2, tensor_pb2
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.errors import ContractError
from undertone_sidecar.testing import LABELS, Pod, running_pod, write_version

REQUEST = classifier_pb2.ClassifyRequest(text="the rain had stopped")


async def classify_code(pod: Pod) -> grpc.StatusCode:
    call = pod.stub.Classify(REQUEST)
    return await call.code()


async def test_the_sidecar_is_not_ready_until_the_model_server_responds(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running_pod(base, ready=False) as pod:
        await pod.wait_health(serving=False)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await pod.stub.Classify(REQUEST)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "grpc-retry-pushback-ms" in dict(failure.value.trailing_metadata() or ())
        pod.serving.status_fails = grpc.StatusCode.RESOURCE_EXHAUSTED
        await pod.serving.start(pod.serving_address)
        while "overloaded" not in caplog.text:
            await pod.wait_health(serving=False)
        pod.serving.status_fails = None
        await pod.wait_health(serving=True, service="undertone.v1.Classifier")
        assert (await pod.stub.Classify(REQUEST)).label in LABELS
        assert caplog.text.count("cannot be reached") == 1
        assert caplog.text.count("overloaded") == 1


async def test_some_lengths_are_warmed_up_before_ready_and_the_others_later(base: Path) -> None:
    async with running_pod(base, ready=False) as pod:
        pod.serving.fails = lambda _: grpc.StatusCode.UNAVAILABLE if len(pod.serving.shapes) == 2 else None
        await pod.serving.start(pod.serving_address)
        await pod.wait_health(serving=True)
        assert pod.serving.shapes == [(1, 16), (1, 32)]
    async with running_pod(base) as pod:
        assert pod.serving.shapes == [(1, 16), (1, 32), (1, 24)]


async def test_a_model_whose_longest_sequence_takes_too_long_is_reported(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running_pod(base, ready=False, predict_timeout_seconds=0.01) as pod:
        pod.serving.seconds = 0.02
        await pod.serving.start(pod.serving_address)
        await pod.wait_health(serving=True)
        assert "a call with 32 tokens, the maximum of the model, took 0.0" in caplog.text
        assert "set a larger --predict-timeout-seconds, or export the model with a smaller --max-tokens" in caplog.text


async def test_a_model_longer_than_a_batch_is_served(base: Path) -> None:
    async with running_pod(base, batch_tokens=16) as pod:
        response = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain " * 30))
        assert (response.tokens, response.chunks) == (32, 1)


async def test_a_lost_model_server_is_noticed_at_once_and_reconnected(base: Path) -> None:
    async with running_pod(base) as pod:
        pod.serving.hold()
        call = pod.stub.Classify(REQUEST)
        await pod.serving.hanging.wait()
        await pod.serving.stop()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        await pod.wait_health(serving=False)
        assert await classify_code(pod) is grpc.StatusCode.UNAVAILABLE
        pod.serving.release()
        pod.serving.shapes.clear()
        await pod.serving.start(pod.serving_address)
        await pod.wait_health(serving=True)
        assert pod.serving.shapes[:2] == [(1, 16), (1, 32)]
        assert await classify_code(pod) is grpc.StatusCode.OK


async def test_a_busy_model_server_stays_available(base: Path) -> None:
    async with running_pod(base, poll_seconds=60) as pod:
        pod.serving.status_fails = grpc.StatusCode.RESOURCE_EXHAUSTED
        pod.serving.fails = lambda _: grpc.StatusCode.UNAVAILABLE
        assert await classify_code(pod) is grpc.StatusCode.UNAVAILABLE
        pod.serving.fails = lambda _: None
        assert await classify_code(pod) is grpc.StatusCode.OK


async def test_slow_status_checks_do_not_withdraw_the_model_while_calls_complete(base: Path) -> None:
    async with running_pod(base) as pod:
        pod.serving.status_fails = grpc.StatusCode.DEADLINE_EXCEEDED
        for _ in range(5):
            before = pod.serving.status_calls
            while pod.serving.status_calls < before + 2:
                assert await classify_code(pod) is grpc.StatusCode.OK
        # Without calls, the model server counts as lost after a few checks.
        await pod.wait_health(serving=False)


async def test_a_stuck_call_makes_the_pod_unready_until_it_ends(base: Path) -> None:
    async with running_pod(base, predict_timeout_seconds=0.2) as pod:
        pod.serving.hold()
        call = pod.stub.Classify(REQUEST)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert "has not finished a call in 0.2 s" in (await call.details() or "")
        await pod.wait_health(serving=False)
        assert await classify_code(pod) is grpc.StatusCode.UNAVAILABLE
        pod.serving.release()
        await pod.wait_health(serving=True)
        assert await classify_code(pod) is grpc.StatusCode.OK


async def test_a_new_version_replaces_the_old_one_without_a_failed_call(base: Path) -> None:
    async with running_pod(base) as pod:
        seen = {version: asyncio.Event() for version in (1, 2, 3)}

        async def keep_calling() -> list[int]:
            versions = []
            while not seen[3].is_set():
                request = classifier_pb2.ClassifyBatchRequest(paragraphs=[classifier_pb2.Paragraph(text="rain")] * 3)
                response = await pod.stub.ClassifyBatch(request)
                assert all(result.HasField("classification") for result in response.results)
                versions.append(response.model.version)
                seen[response.model.version].set()
            return versions

        callers = [asyncio.create_task(keep_calling()) for _ in range(8)]
        for version in (1, 2):
            await seen[version].wait()
            write_version(base, version + 1)
            pod.serving.versions = {version + 1}
        for versions in await asyncio.gather(*callers):
            assert versions == sorted(versions)


async def test_a_call_in_flight_is_repeated_with_the_new_version(base: Path) -> None:
    """The labels differ, because a response must not mix two versions."""
    async with running_pod(base, poll_seconds=60) as pod:
        write_version(base, 2, labels=("calm", "storm"))
        pod.serving.versions = {2}
        pod.serving.labels = 2
        response = await pod.stub.Classify(REQUEST)
        assert (response.model.version, tuple(response.labels)) == (2, ("calm", "storm"))


async def test_a_version_is_served_once_its_folder_exists(base: Path) -> None:
    async with running_pod(base) as pod:
        pod.serving.versions = {2}
        await pod.wait_health(serving=False)
        write_version(base, 2)
        await pod.wait_health(serving=True)
        assert (await pod.stub.Classify(REQUEST)).model.version == 2


async def test_a_version_without_its_folder_is_served_until_the_model_server_unloads_it(base: Path) -> None:
    """An operator rolls back a version: the folder is removed before the previous version is
    loaded.
    """
    async with running_pod(base) as pod:
        write_version(base, 2)
        pod.serving.versions = {2}
        while (await pod.stub.Classify(REQUEST)).model.version != 2:
            pass
        (base / "2" / "contract.json").unlink()
        # Makes the call wait for a check, which must ignore the missing folder.
        once = iter([grpc.StatusCode.NOT_FOUND])
        pod.serving.fails = lambda _: next(once, None)
        assert (await pod.stub.Classify(REQUEST)).model.version == 2
        pod.serving.versions = {1}
        assert (await pod.stub.Classify(REQUEST)).model.version == 1


ERRORS_OF_A_NEW_VERSION = (
    grpc.StatusCode.FAILED_PRECONDITION,  # its variables are missing
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@pytest.mark.parametrize("code", ERRORS_OF_A_NEW_VERSION, ids=lambda code: code.name)
async def test_a_new_version_that_does_not_answer_is_not_served_while_the_old_one_answers(
    base: Path, code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_pod(base) as pod:
        write_version(base, 2)
        attempts = []

        def fails(request: predict_pb2.PredictRequest) -> grpc.StatusCode | None:
            if request.model_spec.version.value == 1:
                return None
            attempts.append(request)
            return code

        pod.serving.fails = fails
        pod.serving.versions = {1, 2}
        while len(attempts) < 4:
            response = await pod.stub.Classify(REQUEST)
            assert response.model.version == 1
        await pod.wait_metric("undertone_model_mismatch", 1)
        assert "version 2 cannot be served, version 1 remains: " in caplog.text
        assert "not serving" not in caplog.text
        pod.serving.fails = lambda _: None
        while (await pod.stub.Classify(REQUEST)).model.version != 2:
            pass
        await pod.wait_metric("undertone_model_mismatch", 0)


async def test_an_older_version_is_served_if_the_newest_does_not_answer_at_the_start(base: Path) -> None:
    write_version(base, 2)
    async with running_pod(base, ready=False) as pod:
        broken = grpc.StatusCode.FAILED_PRECONDITION
        pod.serving.versions = {1, 2}
        pod.serving.fails = lambda request: broken if request.model_spec.version.value == 2 else None
        await pod.serving.start(pod.serving_address)
        await pod.wait_health(serving=True)
        assert (await pod.stub.Classify(REQUEST)).model.version == 1


async def test_the_reason_names_a_version_that_cannot_score_and_the_remedy(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The model server has unloaded the old version, so that no version is left."""
    async with running_pod(base) as pod:
        write_version(base, 2)
        pod.serving.fails = lambda request: grpc.StatusCode.FAILED_PRECONDITION
        pod.serving.versions = {2}
        await pod.wait_health(serving=False)
        assert "not serving: version 2 is ready in the model server but cannot score" in caplog.text
        assert "away and back (mv)" in caplog.text
        pod.serving.fails = lambda _: None
        await pod.wait_health(serving=True)
        assert (await pod.stub.Classify(REQUEST)).model.version == 2


async def test_a_damaged_new_version_is_refused_and_the_old_version_stays(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running_pod(base) as pod:
        folder = write_version(base, 2)
        (folder / "contract.json").write_text("{")
        pod.serving.versions = {1, 2}
        with caplog.at_level(logging.ERROR):
            while "version 2 cannot be served, version 1 remains: " not in caplog.text:
                assert (await pod.stub.Classify(REQUEST)).model.version == 1
        assert "is not a model contract" in caplog.text
        assert "not serving" not in caplog.text
        await pod.wait_metric("undertone_model_mismatch", 1)
        await pod.wait_metric('undertone_model_info{name="emotions",precision="fp32",version="1"}', 1)
        pod.serving.versions = {1}
        await pod.wait_metric("undertone_model_mismatch", 0)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "contract.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "contract.json").write_text("{"), r"1/contract\.json: is not a model contract"),
        (lambda folder: edit(folder, name="others"), r"is for the model 'others', but the sidecar serves 'emotions'"),
        (lambda folder: edit(folder, version="7"), r"is for version 7, but is in the folder of version 1"),
        (
            lambda folder: edit(folder, labels=["joy", "joy"]),
            r"labels is \['joy', 'joy'\], but needs at least two different labels",
        ),
        (lambda folder: edit(folder, problemType=7), r"problem_type is 7, but must be 1 \(single-label\) or 2 \(multi-label\)"),
        (lambda folder: edit(folder, thresholds=[0.5] * 9), r"thresholds is \[0\.5, .*\], but only a multi-label model has"),
        (
            lambda folder: edit(folder, problemType="PROBLEM_TYPE_MULTI_LABEL", thresholds=[0.5] * 8),
            r"thresholds has 8 numbers, but needs one for each of the 9 labels: export the model again",
        ),
        (
            lambda folder: edit(folder, problemType="PROBLEM_TYPE_MULTI_LABEL", thresholds=[0.5] * 8 + [1.0]),
            r"the threshold of 'neutral' is 1, but must be above 0 and below 1: export the model again",
        ),
        (
            lambda folder: edit(folder, problemType="PROBLEM_TYPE_MULTI_LABEL", labels=[]),
            r"labels is \[\], but needs at least one label",
        ),
        (lambda folder: edit(folder, windows={}), r"windows\.tokens is 0, but must be from 8 to max_tokens \(32\)"),
        (
            lambda folder: edit(folder, windows={"tokens": 16, "neutralLabel": "calm"}),
            r"windows\.neutral_label is 'calm', but must be one of \['joy', .*: export the model again",
        ),
        (lambda folder: edit(folder, inputs=[]), r"has no input 'input_ids'"),
        (
            lambda folder: edit(folder, maxTokens=10),
            r"accepts 8 tokens .* --chunk-overlap is \d+: use --chunk-overlap=2",
        ),
        (lambda folder: edit(folder, architecture={"vocabularySize": 50}), r"but the model has 50"),
        (
            lambda folder: (folder / "tokenizer.json").write_text("{}"),
            r"tokenizer\.json: SHA-256 is 44136f.*restore the tokenizer",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json: cannot be read \(No such file"),
    ],
)
async def test_a_first_model_that_cannot_be_served_stops_the_sidecar(base: Path, damage: object, message: str) -> None:
    assert callable(damage)
    damage(base / "1")
    async with running_pod(base, ready=False) as pod:
        await pod.serving.start(pod.serving_address)
        with pytest.raises(ContractError, match=message):
            await pod.run


async def test_a_model_that_needs_more_memory_than_the_model_server_has_is_refused(base: Path) -> None:
    edit(base / "1", architecture={"layers": 12, "hiddenSize": 768, "intermediateSize": 3072, "attentionHeads": 12})
    async with running_pod(base, ready=False, model_server_memory=2**29) as pod:
        await pod.serving.start(pod.serving_address)
        with pytest.raises(ContractError, match=r"the model server needs about 0\.\d+ GiB .* but its memory is 0\.50 GiB"):
            await pod.run
        assert not pod.serving.shapes


@pytest.mark.parametrize("change", ["dtype", "labels"])
async def test_a_model_server_with_a_different_model_is_refused(base: Path, change: str) -> None:
    async with running_pod(base, ready=False) as pod:
        if change == "dtype":
            pod.serving.input_dtype = tensor_pb2.DATA_TYPE_INT64
        else:
            pod.serving.labels = 5
        await pod.serving.start(pod.serving_address)
        with pytest.raises(
            ContractError, match="check that the sidecar's --model-dir and the model server's base path contain the same"
        ):
            await pod.run
