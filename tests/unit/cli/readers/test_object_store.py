"""Inputs in object stores: S3 by moto, Google Cloud Storage by its emulator."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import undertone
from undertone_cli.readers import InputSet, ReadOptions, find_inputs, inspect_inputs
from undertone_cli.readers.object_store import ObjectAddress
from undertone_client.jobs import InputError

from tests.integration.support.simulated_aws import simulated_aws

GCS_EMULATOR = """
import sys
from gcp_storage_emulator.server import create_server
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
    "books/2025/c.csv.gz": gzip.compress(b"text\nFive.\n"),
    "books/2025/_SUCCESS": b"",
    "books/notes.me": b"",
}


class Store:
    """The bucket `books-bucket`."""

    def __init__(self, scheme: str, options: str, filesystem: pafs.FileSystem, host: str = "") -> None:
        self.scheme = scheme
        self.host = host
        self.options = options
        self.filesystem = filesystem

    def address(self, key: str) -> str:
        return f"{self.scheme}books-bucket/{key}?{self.options}"

    def fill(self) -> None:
        table = pa.BufferOutputStream()
        pq.write_table(pa.table({"text": [f"Row {row}." for row in range(50)]}), table, row_group_size=7)
        for key, content in {**FILES, "rows/d.parquet": table.getvalue().to_pybytes()}.items():
            with self.filesystem.open_output_stream(f"books-bucket/{key}", compression=None) as stream:
                stream.write(content)


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")):
            patch.setenv(name, value)
        with simulated_aws() as url:
            endpoint = url.removeprefix("http://")
            options = f"region=us-east-1&scheme=http&endpoint_override={endpoint}"
            filesystem, _ = pafs.FileSystem.from_uri(f"s3://books-bucket?{options}&allow_bucket_creation=true")
            filesystem.create_dir("books-bucket")
            store = Store("s3://", options, filesystem, endpoint)
            store.fill()
            yield store


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
        store.fill()
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
    assert (result.exit_code, "the text is null" in (out / "_failures.jsonl").read_text()) == (1, True)
    assert "1 file was skipped, because the suffix does not determine the format (.me)" in result.output
    run = json.loads((out / "_run.json").read_text())
    assert run["counts"]["scored"] == 55
    assert run["inputs"][0] == s3.address("books/2024/a.txt")
    assert "secret" not in (out / "_run.json").read_text()
    assert CliRunner().invoke(undertone, ["replay", str(out), "--target", target]).exit_code == 1


def test_output_cannot_be_in_an_object_store(s3: Store, target: str) -> None:
    result = CliRunner().invoke(undertone, ["score", s3.address("books"), "--out", s3.address("out"), "--target", target])
    assert (result.exit_code, "is not a local folder" in result.output) == (2, True)
    assert "which object stores do not have" in " ".join(result.output.split())


ODD_KEYS = (
    "what?.txt",
    "a&b=c.txt",
    "100%.txt",
    "100%25.txt",
    "hash#tag.txt",
    "two  spaces .txt",
    "plus+plus.txt",
    "größe/日本.txt",
    "user:secret@host.txt",
    "question?region=x/inner.txt",
    "s3:/bucket/key.txt",
)


@pytest.fixture
def odd_bucket(s3: Store) -> Iterator[Callable[..., str]]:
    """Makes a bucket with these keys. Each object contains its own key. Returns the address."""
    client = boto3.client("s3", endpoint_url=f"http://{s3.host}", region_name="us-east-1")
    client.create_bucket(Bucket="odd-bucket")

    def fill(keys: Iterable[str]) -> str:
        for key in keys:
            client.put_object(Bucket="odd-bucket", Key=f"in/{key}", Body=key.encode())
        return f"s3://odd-bucket/in?{s3.options}"

    yield fill
    for each in client.list_objects_v2(Bucket="odd-bucket").get("Contents", ()):
        client.delete_object(Bucket="odd-bucket", Key=each["Key"])
    client.delete_bucket(Bucket="odd-bucket")


def test_keys_with_special_characters_are_read(odd_bucket: Callable[..., str], target: str, tmp_path: Path) -> None:
    address = odd_bucket(ODD_KEYS)
    for name in (address, address.replace("/in?", "/in/**/*.txt?")):
        found = open_inputs(name)
        assert sorted(paragraph.text or "" for paragraph in found.paragraphs()) == sorted(ODD_KEYS)
    out = tmp_path / "out"
    result = CliRunner().invoke(undertone, ["score", address, "--out", str(out), "--target", target])
    assert result.exit_code == 0, result.output
    assert pq.read_table(out).num_rows == len(ODD_KEYS)
    replayed = CliRunner().invoke(undertone, ["replay", str(out), "--target", target])
    assert (replayed.exit_code, "every paragraph has a score" in replayed.output) == (0, True), replayed.output


@pytest.mark.parametrize("key", ["up/../down.txt", "./here.txt", "a//b.txt", "/lead.txt"])
def test_key_that_http_clients_change_is_refused(odd_bucket: Callable[..., str], key: str) -> None:
    address = odd_bucket(["down.txt", "here.txt", "a/b.txt", "lead.txt", key])
    with pytest.raises(InputError, match=rf"s3://odd-bucket/in/{key} cannot be read: its key has a part that is empty"):
        open_inputs(address)


@pytest.fixture
def eavesdropper() -> Iterator[tuple[str, list[str]]]:
    """Address of an HTTP server, and the requests that it has received."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            requests.append(self.rfile.readline(65_536).decode(errors="replace"))
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", requests
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("options_of_the_user", [True, False])
def test_key_with_options_does_not_redirect_the_reader(
    s3: Store,
    odd_bucket: Callable[..., str],
    eavesdropper: tuple[str, list[str]],
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options_of_the_user: bool,
) -> None:
    host, requests = eavesdropper
    address = odd_bucket(["page.txt", f"other?region=us-east-1&scheme=http&endpoint_override={host}"])
    if not options_of_the_user:
        address = address.partition("?")[0]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{s3.host}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    out = tmp_path / "out"
    result = CliRunner().invoke(undertone, ["score", address, "--format", "text", "--out", str(out), "--target", target])
    assert (result.exit_code, requests) == (0, []), result.output
    assert pq.read_table(out).num_rows == 2
    assert CliRunner().invoke(undertone, ["replay", str(out), "--target", target]).exit_code == 0
    assert requests == []


def test_addresses_with_options_in_an_old_manifest_are_not_parsed(
    s3: Store, odd_bucket: Callable[..., str], target: str, tmp_path: Path
) -> None:
    address, out = odd_bucket(["page.jsonl"]), tmp_path / "out"
    arguments = ["score", address, "--format", "jsonl", "--out", str(out), "--target", target]
    boto3.client("s3", endpoint_url=f"http://{s3.host}", region_name="us-east-1").put_object(
        Bucket="odd-bucket", Key="in/page.jsonl", Body=b'{"text": "One."}\n{"text": null}\n'
    )
    assert CliRunner().invoke(undertone, arguments).exit_code == 1
    manifest = json.loads((out / "_run.json").read_text())
    for source in manifest["sources"]:
        del source["address"]  # as earlier releases wrote it
    (out / "_run.json").write_text(json.dumps(manifest))
    result = CliRunner().invoke(undertone, ["replay", str(out), "--target", target])
    assert (result.exit_code, "run the same `undertone score` again" in " ".join(result.output.split())) == (2, True)
    assert CliRunner().invoke(undertone, arguments).exit_code == 1
    assert CliRunner().invoke(undertone, ["replay", str(out), "--target", target]).exit_code == 1


def test_parts_of_an_address() -> None:
    address = ObjectAddress.parse("s3://bucket/a key/b.txt?region=eu-central-1&scheme=http")
    assert address is not None
    assert (address.path, address.options) == ("bucket/a key/b.txt", "region=eu-central-1&scheme=http")
    assert address.display_name == "s3://bucket/a key/b.txt"
    assert str(address.with_path("bucket/c")) == "s3://bucket/c?region=eu-central-1&scheme=http"
    anonymous = ObjectAddress.parse("gs://anonymous@public/data/")
    assert anonymous is not None
    assert ObjectAddress("s3", "", "bucket/line\nbreak\x1b[2J.txt", "").display_name == "s3://bucket/line\\nbreak\\x1b[2J.txt"
    assert (str(anonymous), anonymous.display_name) == ("gs://anonymous@public/data", "gs://public/data")
    assert ObjectAddress.parse("s3-notes.txt") is None
