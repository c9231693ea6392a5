"""The Dockerfiles: properties that can be checked without an engine."""

import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pyspark
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from undertone_batch.iceberg_packages import iceberg_packages
from undertone_client.jobs.catalog import CatalogType

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("batch", "dev-server", "model", "sidecar")
LABELS = {"title", "description", "licenses", "version", "revision", "base.name"}
NOT_IN_THE_SIDECAR = {"tensorflow", "tensorflow-cpu", "transformers", "pyspark", "pandas", "pyarrow", "huggingface-hub"}


class Dockerfile:
    """The instructions of a Dockerfile, as pairs of name and arguments."""

    def __init__(self, image: str) -> None:
        self.text = (ROOT / "docker" / image / "Dockerfile").read_text()
        lines = [line for line in self.text.splitlines() if line and not line.startswith("#")]
        joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
        self.instructions = [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]

    @property
    def final(self) -> list[tuple[str, str]]:
        """The instructions of the last stage, which becomes the image."""
        last = max(index for index, (name, _) in enumerate(self.instructions) if name == "FROM")
        return self.instructions[last:]

    @property
    def third_party_install(self) -> str:
        """The step that installs third-party packages."""
        (step,) = (run for run in self.all("RUN") if "--require-hashes" in run)
        return step

    def third_party_packages(self) -> set[str]:
        """The canonical names of the packages that this step installs, including dependencies."""
        step = self.third_party_install
        excluded = {name for file in re.findall(r"--excludes (\S+)", step) for name in names(ROOT / file)}
        if "pyproject.toml requirements.lock ./" in self.all("COPY"):
            settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
            excluded |= set(settings["exclude-dependencies"])
            # The override applies to other platforms than the images'.
            excluded |= {canonicalize_name(Requirement(line).name) for line in settings["override-dependencies"]}
        packages: set[str] = set()
        files = [tomllib.loads((ROOT / file).read_text()) for file in re.findall(r"--requirements (\S+)", step)]
        waiting = [(line, "") for file in files for line in file["project"]["dependencies"]]
        if "--all-extras" in step:
            extras = [file["project"].get("optional-dependencies", {}).values() for file in files]
            waiting += [(line, "") for groups in extras for group in groups for line in group]
        while waiting:
            line, extra = waiting.pop()
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
            if not wanted or name in packages | excluded:
                continue
            packages.add(name)
            for further in metadata.requires(name) or []:
                waiting += [(further, extra) for extra in ("", *requirement.extras)]
        return packages


def names(file: Path) -> set[str]:
    """The package names in a list of requirements."""
    return {line for line in file.read_text().splitlines() if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def locked() -> dict[str, list[str]]:
    """The hashes of each package in the lock."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    return {
        canonicalize_name(entry.split("==")[0]): re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)
        for entry in entries
        if "==" in entry
    }


@pytest.fixture(params=IMAGES)
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return Dockerfile(request.param)


def test_every_image_has_a_dockerfile() -> None:
    assert sorted(file.parent.name for file in (ROOT / "docker").glob("*/Dockerfile")) == list(IMAGES)


def test_hadolint_passes() -> None:
    files = [str(file) for file in [*ROOT.glob("docker/*/Dockerfile"), ROOT / ".devcontainer/Dockerfile"]]
    program = [str(Path(sys.executable).with_name("hadolint")), "--no-color", *files]
    found = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr


def test_has_no_syntax_line_that_pulls_an_image(dockerfile: Dockerfile) -> None:
    assert not re.search(r"^#\s*syntax", dockerfile.text, re.MULTILINE)


def test_has_no_health_check_because_kubernetes_probes(dockerfile: Dockerfile) -> None:
    assert not dockerfile.all("HEALTHCHECK")


def test_has_a_build_stage_and_a_final_stage(dockerfile: Dockerfile) -> None:
    stages = dockerfile.all("FROM")
    assert len(stages) == 2
    assert {stage.split()[0] for stage in stages} == {"python:3.11-slim"}
    assert not [rest for name, rest in dockerfile.final if name == "RUN" and "pip" in rest]


def test_user_is_numeric_and_not_root(dockerfile: Dockerfile) -> None:
    assert [rest for name, rest in dockerfile.final if name == "USER"] == ["65532:65532"]


def test_has_labels(dockerfile: Dockerfile) -> None:
    (labels,) = (rest for name, rest in dockerfile.final if name == "LABEL")
    assert set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", labels)) == LABELS


def test_version_label_defaults_to_the_version_file(dockerfile: Dockerfile) -> None:
    assert dockerfile.all("ARG")[0] == f"VERSION={(ROOT / 'VERSION').read_text().strip()}"


def test_uv_has_the_version_of_the_makefile(dockerfile: Dockerfile) -> None:
    found = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    assert f" uv=={found[1]}" in dockerfile.text


def test_copied_files_exist(dockerfile: Dockerfile) -> None:
    copies = [rest.split() for rest in dockerfile.all("COPY") if not rest.startswith("--from")]
    assert [source for *sources, _ in copies for source in sources if not (ROOT / source).exists()] == []


def test_lock_has_hashes_of_all_packages(dockerfile: Dockerfile, locked: dict[str, list[str]]) -> None:
    assert "--constraints requirements.lock" in dockerfile.third_party_install
    packages = dockerfile.third_party_packages()
    assert packages
    assert {package for package in packages if not locked.get(package)} == set()


@pytest.mark.parametrize("image", ["batch", "sidecar"])
def test_images_have_the_packages_of_all_telemetry_settings(image: str) -> None:
    telemetry = {"prometheus-client", "datadog", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc", "click"}
    assert telemetry <= Dockerfile(image).third_party_packages()


def test_batch_image_has_the_undertone_command() -> None:
    assert any("./services/cli" in run for run in Dockerfile("batch").all("RUN"))


def test_sidecar_has_no_heavy_packages() -> None:
    packages = Dockerfile("sidecar").third_party_packages()
    assert {"grpcio", "tokenizers", "prometheus-client"} <= packages
    assert not packages & NOT_IN_THE_SIDECAR


def jars() -> dict[str, str]:
    """The checksums of the jars of the batch image, by Maven coordinates."""
    lines = (ROOT / "docker/batch/jars.txt").read_text().splitlines()
    return {line.split()[1]: line.split()[0] for line in lines if not line.startswith("#")}


def test_batch_image_has_the_jars_of_all_catalogues_with_checksums() -> None:
    needed = {package for each in CatalogType for package in iceberg_packages(pyspark.__version__, each)}
    assert needed <= jars().keys()
    assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in jars().values())


def test_jars_of_s3a_have_the_version_of_hadoop_in_pyspark() -> None:
    (client,) = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    assert f"org.apache.hadoop:hadoop-aws:{client.stem.rpartition('-')[2]}" in jars()


def test_jars_of_the_sdk_have_the_version_of_the_sdk_of_iceberg() -> None:
    bundles = list((ROOT / "build/iceberg").glob("iceberg-aws-bundle-*.jar"))
    if not bundles:
        pytest.skip("build/iceberg has no jars: run .ci/iceberg")
    with zipfile.ZipFile(bundles[0]) as archive:
        properties = archive.read("META-INF/maven/software.amazon.awssdk/s3/pom.properties").decode()
    (version,) = re.findall(r"^version=(\S+)$", properties, re.MULTILINE)
    assert {jar.split(":")[2] for jar in jars() if jar.startswith("software.amazon.awssdk:")} == {version}


@pytest.mark.parametrize(("content", "code"), [(b"the jar", 0), (b"another", 1)])
def test_jars_with_another_checksum_are_refused(tmp_path: Path, content: bytes, code: int) -> None:
    """The jar is in the folder, so the script fetches nothing."""
    script = tmp_path / "jars.sh"
    script.write_bytes((ROOT / "docker/batch/jars.sh").read_bytes())
    script.chmod(0o755)
    (tmp_path / "jars.txt").write_text(f"# A comment.\n{hashlib.sha256(b'the jar').hexdigest()}  group:one:1\n")
    (tmp_path / "one-1.jar").write_bytes(content)
    ran = subprocess.run([script, tmp_path], check=False, capture_output=True, text=True, timeout=30)
    assert (ran.returncode, "one-1.jar" in ran.stdout) == (code, code == 1)
