"""Loss, return and succession of the model server, as callers and health watchers see them."""

import asyncio
import json
import logging
from pathlib import Path

import grpc
import grpc.aio
import pytest
from undertone_protos.tfserving.v1 import tensor_pb2
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.errors import ContractError
from undertone_sidecar.testing import LABELS, Pod, pod, write_version

PARAGRAPH = classifier_pb2.ClassifyRequest(text="the rain had stopped")


async def code_of_classify(house: Pod) -> grpc.StatusCode:
    call = house.stub.Classify(PARAGRAPH)
    return await call.code()


async def test_not_ready_until_the_model_server_is_there(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with pod(base, ready=False) as house:
        await house.until(serving=False)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await house.stub.Classify(PARAGRAPH)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "grpc-retry-pushback-ms" in dict(failure.value.trailing_metadata() or ())
        house.serving.status_fails = grpc.StatusCode.RESOURCE_EXHAUSTED
        await house.serving.start(house.serving_address)
        while "overloaded" not in caplog.text:
            await house.until(serving=False)
        house.serving.status_fails = None
        await house.until(serving=True, service="undertone.v1.Classifier")
        assert (await house.stub.Classify(PARAGRAPH)).label in LABELS
        assert caplog.text.count("cannot be reached") == 1
        assert caplog.text.count("overloaded") == 1


async def test_ready_after_the_landmarks_among_lengths_and_the_others_are_tried_too(base: Path) -> None:
    async with pod(base, ready=False) as house:
        house.serving.fails = lambda _: grpc.StatusCode.UNAVAILABLE if len(house.serving.shapes) == 2 else None
        await house.serving.start(house.serving_address)
        await house.until(serving=True)
        assert house.serving.shapes == [(1, 16), (1, 32)]
    async with pod(base) as house:
        assert house.serving.shapes == [(1, 16), (1, 32), (1, 24)]


async def test_a_lost_model_server_is_told_at_once_and_found_again(base: Path) -> None:
    async with pod(base) as house:
        house.serving.hold()
        call = house.stub.Classify(PARAGRAPH)
        await house.serving.hanging.wait()
        await house.serving.stop()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        await house.until(serving=False)
        assert await code_of_classify(house) is grpc.StatusCode.UNAVAILABLE
        house.serving.release()
        house.serving.shapes.clear()
        await house.serving.start(house.serving_address)
        await house.until(serving=True)
        assert house.serving.shapes[:2] == [(1, 16), (1, 32)]
        assert await code_of_classify(house) is grpc.StatusCode.OK


async def test_a_busy_model_server_is_not_a_lost_one(base: Path) -> None:
    async with pod(base, poll_seconds=60) as house:
        house.serving.status_fails = grpc.StatusCode.RESOURCE_EXHAUSTED
        house.serving.fails = lambda _: grpc.StatusCode.UNAVAILABLE
        assert await code_of_classify(house) is grpc.StatusCode.UNAVAILABLE
        house.serving.fails = lambda _: None
        assert await code_of_classify(house) is grpc.StatusCode.OK


async def test_a_new_version_takes_over_without_a_failed_request(base: Path) -> None:
    async with pod(base) as house:
        seen = {version: asyncio.Event() for version in (1, 2, 3)}

        async def keep_asking() -> list[int]:
            versions = []
            while not seen[3].is_set():
                request = classifier_pb2.ClassifyBatchRequest(paragraphs=[classifier_pb2.Paragraph(text="rain")] * 3)
                response = await house.stub.ClassifyBatch(request)
                assert all(result.HasField("classification") for result in response.results)
                versions.append(response.model.version)
                seen[response.model.version].set()
            return versions

        asking = [asyncio.create_task(keep_asking()) for _ in range(8)]
        for version in (1, 2):
            await seen[version].wait()
            write_version(base, version + 1)
            house.serving.versions = {version + 1}
        for versions in await asyncio.gather(*asking):
            assert versions == sorted(versions)


async def test_a_request_under_way_moves_to_the_version_that_took_over(base: Path) -> None:
    """The labels differ, too: a reply never mixes two versions."""
    async with pod(base, poll_seconds=60) as house:
        write_version(base, 2, labels=("calm", "storm"))
        house.serving.versions = {2}
        house.serving.labels = 2
        response = await house.stub.Classify(PARAGRAPH)
        assert (response.model.version, tuple(response.labels)) == (2, ("calm", "storm"))


async def test_a_version_whose_folder_is_not_here_is_waited_for(base: Path) -> None:
    async with pod(base) as house:
        house.serving.versions = {2}
        await house.until(serving=False)
        write_version(base, 2)
        await house.until(serving=True)
        assert (await house.stub.Classify(PARAGRAPH)).model.version == 2


async def test_a_version_whose_folder_goes_away_is_served_until_the_model_server_drops_it(base: Path) -> None:
    """As when an operator takes a version back: its folder is removed first, and its predecessor loaded then."""
    async with pod(base) as house:
        write_version(base, 2)
        house.serving.versions = {2}
        while (await house.stub.Classify(PARAGRAPH)).model.version != 2:
            pass
        (base / "2" / "contract.json").unlink()
        # Makes the call wait for a look, which must not find fault with the missing folder.
        once = iter([grpc.StatusCode.NOT_FOUND])
        house.serving.fails = lambda _: next(once, None)
        assert (await house.stub.Classify(PARAGRAPH)).model.version == 2
        house.serving.versions = {1}
        assert (await house.stub.Classify(PARAGRAPH)).model.version == 1


async def test_a_damaged_successor_is_refused_and_the_old_version_stays(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with pod(base) as house:
        folder = write_version(base, 2)
        (folder / "contract.json").write_text("{")
        house.serving.versions = {1, 2}
        with caplog.at_level(logging.ERROR):
            while "is not a model contract" not in caplog.text:
                assert (await house.stub.Classify(PARAGRAPH)).model.version == 1
        await house.until_metric("undertone_model_mismatch", 1)
        await house.until_metric('undertone_model_info{name="emotions",precision="fp32",version="1"}', 1)
        house.serving.versions = {1}
        await house.until_metric("undertone_model_mismatch", 0)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "contract.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "contract.json").write_text("{"), r"1/contract\.json: is not a model contract"),
        (lambda folder: edit(folder, name="others"), r"is for the model 'others', but 'emotions' is to be served"),
        (lambda folder: edit(folder, version="7"), r"is for version 7, but stands in the folder of version 1"),
        (lambda folder: edit(folder, labels=["joy", "joy"]), r"labels must be at least two, all different"),
        (lambda folder: edit(folder, inputs=[]), r"has no input 'input_ids'"),
        (lambda folder: edit(folder, maxTokens=4096), r"reads up to 4096 tokens, but --batch-tokens is 128"),
        (lambda folder: edit(folder, architecture={"vocabularySize": 50}), r"but the model knows 50"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), r"tokenizer\.json: SHA-256 is 44136f.*put back"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json: cannot be read \(No such file"),
    ],
)
async def test_a_first_model_that_cannot_be_served_ends_the_sidecar(base: Path, damage: object, said: str) -> None:
    assert callable(damage)
    damage(base / "1")
    async with pod(base, ready=False) as house:
        await house.serving.start(house.serving_address)
        with pytest.raises(ContractError, match=said):
            await house.run


@pytest.mark.parametrize("change", ["dtype", "labels"])
async def test_a_model_server_with_another_model_is_refused(base: Path, change: str) -> None:
    async with pod(base, ready=False) as house:
        if change == "dtype":
            house.serving.input_dtype = tensor_pb2.DATA_TYPE_INT64
        else:
            house.serving.labels = 5
        await house.serving.start(house.serving_address)
        with pytest.raises(ContractError, match="do the sidecar's --model-dir and the model server's base path name the same"):
            await house.run
