"""Inputs in object stores: S3 by moto, Google Cloud Storage by its emulator."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer
from undertone_cli.__main__ import undertone
from undertone_cli.readers import InputSet, ReadOptions, find_inputs, inspect_inputs
from undertone_cli.readers.object_store import ObjectAddress
from undertone_client.jobs import InputError

GCS_EMULATOR = """
import sys
from gcp_storage_emulator.server import create_server
from undertone_client.jobs import InputError
server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="books-bucket")
server.start()
print(server._api._httpd.server_address[1], flush=True)
sys.stdin.read()
server.stop()
"""


FILES = {
    "books/a.txt": b"One.\n\nTwo.\n",
    "books/2024/a.txt": b"Three.\n",
    "books/2024/b [x].jsonl": b'{"text": "Four."}\n{"text": null}\n',
    "books/2025/c.csv": b"text\nFive.\n",
    "books/2025/_SUCCESS": b"",
    "books/notes.me": b"",
}


class Store:
    """The bucket `books-bucket`."""

    def __init__(self, scheme: str, options: str, filesystem: pafs.FileSystem) -> None:
        self.scheme = scheme
        self.options = options
        self.filesystem = filesystem

    def address(self, key: str) -> str:
        return f"{self.scheme}books-bucket/{key}?{self.options}"

    def fill(self, put: Callable[[str, bytes], None]) -> None:
        table = pa.BufferOutputStream()
        pq.write_table(pa.table({"text": [f"Row {row}." for row in range(50)]}), table, row_group_size=7)
        for key, content in {**FILES, "rows/d.parquet": table.getvalue().to_pybytes()}.items():
            put(key, content)


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")):
            patch.setenv(name, value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            options = f"region=us-east-1&scheme=http&endpoint_override={host}:{port}"
            filesystem, _ = pafs.FileSystem.from_uri(f"s3://books-bucket?{options}&allow_bucket_creation=true")
            filesystem.create_dir("books-bucket")
            store = Store("s3://", options, filesystem)

            def put(key: str, content: bytes) -> None:
                with filesystem.open_output_stream(f"books-bucket/{key}") as stream:
                    stream.write(content)

            store.fill(put)
            yield store
        finally:
            server.stop()


@pytest.fixture(scope="module")
def gs() -> Iterator[Store]:
    # In another process, because Arrow holds the GIL while it waits for this store.
    command = [sys.executable, "-c", GCS_EMULATOR]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        options = f"scheme=http&endpoint_override=127.0.0.1:{process.stdout.readline().strip()}&retry_limit_seconds=5"
        filesystem, _ = pafs.FileSystem.from_uri(f"gs://anonymous@books-bucket?{options}")
        store = Store("gs://anonymous@", options, filesystem)

        def put(key: str, content: bytes) -> None:
            with filesystem.open_output_stream(f"books-bucket/{key}") as stream:
                stream.write(content)

        store.fill(put)
        yield store
        process.stdin.close()


@pytest.fixture(params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> Store:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Store)
    return found


def open_inputs(*names: str) -> InputSet:
    return find_inputs(names, ReadOptions())


@pytest.mark.parametrize(
    ("key", "documents"),
    [
        ("books", ["2024/a", "2024/b [x]", "2025/c", "a"]),
        ("books/", ["2024/a", "2024/b [x]", "2025/c", "a"]),
        ("books/*.txt", ["a"]),
        ("books/**/*.txt", ["2024/a", "a"]),
        ("books/20*", ["2024/a", "2024/b [x]", "2025/c"]),
        ("books/202[5-9]/*", ["2025/c"]),
        ("books/a.txt", ["a"]),
    ],
)
def test_prefixes_patterns_and_objects(store: Store, key: str, documents: list[str]) -> None:
    found = open_inputs(store.address(key))
    assert [source.document for source in found.inputs] == documents
    assert found.rereadable


def test_objects_are_read_and_hashed_like_files(store: Store, tmp_path: Path) -> None:
    for key, content in FILES.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    remote, local = inspect_inputs(open_inputs(store.address("books"))), inspect_inputs(open_inputs(str(tmp_path / "books")))
    assert remote.paragraphs == local.paragraphs == 6
    remote_hashes, local_hashes = (
        [(each.document, each.bytes, each.sha256) for each in inspection.fingerprints] for inspection in (remote, local)
    )
    assert remote_hashes == local_hashes
    remote_paragraphs, local_paragraphs = (
        [(each.id, each.text, each.problem) for each in open_inputs(name).paragraphs()]
        for name in (store.address("books"), str(tmp_path / "books"))
    )
    assert remote_paragraphs == local_paragraphs


def test_parquet_is_read_without_a_copy(store: Store) -> None:
    found = open_inputs(store.address("rows/d.parquet"))
    assert [paragraph.text for paragraph in found.paragraphs()] == [f"Row {row}." for row in range(50)]
    (fingerprint,) = inspect_inputs(found).fingerprints
    assert fingerprint.bytes == store.filesystem.get_file_info("books-bucket/rows/d.parquet").size


def test_missing_objects(store: Store) -> None:
    with pytest.raises(InputError, match=r"(gs|s3)://books-bucket/books/z\.txt does not exist"):
        open_inputs(store.address("books/z.txt"))
    with pytest.raises(InputError, match="there is no file to read"):
        open_inputs(store.address("books/*.parquet"))


def test_unknown_option_of_an_address() -> None:
    with pytest.raises(InputError, match=r"s3://books-bucket/a\.txt cannot be read: Unexpected query parameter"):
        open_inputs("s3://books-bucket/a.txt?colour=blue")


def test_manifest_contains_no_credentials(s3: Store, target: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["score", s3.address("books"), s3.address("rows"), "--out", str(out), "--target", target]
    result = CliRunner().invoke(undertone, arguments)
    assert (result.exit_code, "the text is null" in (out / "failures.jsonl").read_text()) == (1, True)
    assert "1 file was skipped, because the suffix does not determine the format (.me)" in result.output
    run = json.loads((out / "run.json").read_text())
    assert run["counts"]["scored"] == 55
    assert run["inputs"][0] == s3.address("books/2024/a.txt")
    assert "secret" not in (out / "run.json").read_text()
    assert CliRunner().invoke(undertone, ["replay", str(out), "--target", target]).exit_code == 1


def test_output_cannot_be_in_an_object_store(s3: Store, target: str) -> None:
    result = CliRunner().invoke(undertone, ["score", s3.address("books"), "--out", s3.address("out"), "--target", target])
    assert (result.exit_code, "is not a local folder" in result.output) == (2, True)
    assert "which object stores do not have" in " ".join(result.output.split())


def test_parts_of_an_address() -> None:
    address = ObjectAddress.parse("s3://bucket/a key/b.txt?region=eu-central-1&scheme=http")
    assert address is not None
    assert (address.path, address.options) == ("bucket/a key/b.txt", "region=eu-central-1&scheme=http")
    assert address.display_name == "s3://bucket/a key/b.txt"
    assert str(address.with_path("bucket/c")) == "s3://bucket/c?region=eu-central-1&scheme=http"
    assert ObjectAddress.parse(str(address)) == address
    anonymous = ObjectAddress.parse("gs://anonymous@public/data/")
    assert anonymous is not None
    assert (str(anonymous), anonymous.display_name) == ("gs://anonymous@public/data", "gs://public/data")
    assert ObjectAddress.parse("s3-notes.txt") is None
