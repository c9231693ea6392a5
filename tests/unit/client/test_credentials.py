"""Credentials in the metadata of calls."""

from pathlib import Path

import pytest
from undertone_client import Client, Credentials, Settings, SettingsError
from undertone_client.testing import FakeClassifier
from undertone_protos.v1 import classifier_pb2 as pb


class RecordingClassifier(FakeClassifier):
    """A classifier that keeps the metadata of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata: list[dict[str, str | bytes]] = []

    async def Classify(self, request, context) -> pb.ClassifyResponse:  # type: ignore[no-untyped-def]  # noqa: N802
        self.metadata.append(dict(context.invocation_metadata()))
        return await super().Classify(request, context)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credential"
    path.write_text("first-secret\n")
    return path


async def test_each_call_has_the_credential_of_the_file_and_a_changed_file_is_read_again(file: Path) -> None:
    async with RecordingClassifier() as service:
        async with Client(service.target, settings=Settings(credentials=Credentials(token_file=file))) as client:
            await client.classify("text")
            changed = file.with_name("changed")
            changed.write_text("second-secret")
            changed.rename(file)
            await client.classify("text")
            remove(file)
            await client.classify("text")
        async with Client(
            service.target, settings=Settings(credentials=Credentials(changed_to(file, "a-key\nan-older-key")))
        ) as client:
            await client.classify("text")
    tokens = [metadata.get("authorization") for metadata in service.metadata]
    assert tokens == ["Bearer first-secret", "Bearer second-secret", "Bearer second-secret", None]
    assert service.metadata[-1]["x-api-key"] == "a-key"


def changed_to(file: Path, content: str) -> Path:
    file.write_text(content)
    return file


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("content", ["", "\n", "two words", "naïve", "k" * 20_000])
async def test_an_invalid_credential_is_rejected_without_showing_it(file: Path, content: str) -> None:
    changed_to(file, content)
    with pytest.raises(SettingsError, match="has no credential: use a file whose first line") as error:
        async with Client(settings=Settings(credentials=Credentials(file))):
            pass
    assert not content.strip() or content not in str(error.value)


async def test_a_missing_file_and_two_files_are_rejected(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent cannot be read: No such file"):
        async with Client(settings=Settings(credentials=Credentials(file.with_name("absent")))):
            pass
    for files in ((), (file, file)):
        with pytest.raises(SettingsError, match="exclude each other"):
            Credentials(*files)
