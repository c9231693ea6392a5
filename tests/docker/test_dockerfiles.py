"""What the images' recipes promise, as far as it can be seen without an engine."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("batch", "dev-server", "model", "sidecar")
LABELS = {"title", "description", "licenses", "version", "revision", "base.name"}
NOT_IN_THE_SIDECAR = {"tensorflow", "tensorflow-cpu", "transformers", "pyspark", "pandas", "pyarrow", "huggingface-hub"}


class Recipe:
    """A Dockerfile's instructions, a pair of name and rest each."""

    def __init__(self, image: str) -> None:
        self.text = (ROOT / "docker" / image / "Dockerfile").read_text()
        lines = [line for line in self.text.splitlines() if line and not line.startswith("#")]
        joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
        self.instructions = [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]

    @property
    def final(self) -> list[tuple[str, str]]:
        """Of the stage that becomes the image."""
        last = max(index for index, (name, _) in enumerate(self.instructions) if name == "FROM")
        return self.instructions[last:]

    @property
    def third_party_install(self) -> str:
        """The step that installs what is not ours."""
        (step,) = (run for run in self.all("RUN") if "--require-hashes" in run)
        return step

    def third_party_packages(self) -> set[str]:
        """What that step installs: everything that is asked for, straight or by another package, by its canonical name."""
        step = self.third_party_install
        excluded = {name for file in re.findall(r"--excludes (\S+)", step) for name in names(ROOT / file)}
        if "pyproject.toml requirements.lock ./" in self.all("COPY"):
            settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
            excluded |= set(settings["exclude-dependencies"])
            # The overriding requirement is for other machines than the images'.
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
    """Of the packages in a list of requirements."""
    return {line for line in file.read_text().splitlines() if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def locked() -> dict[str, list[str]]:
    """The hashes of each package of the lock."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    return {
        canonicalize_name(entry.split("==")[0]): re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)
        for entry in entries
        if "==" in entry
    }


@pytest.fixture(params=IMAGES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return Recipe(request.param)


def test_there_is_a_recipe_for_each_image() -> None:
    assert sorted(file.parent.name for file in (ROOT / "docker").glob("*/Dockerfile")) == list(IMAGES)


def test_hadolint_finds_nothing() -> None:
    files = [str(file) for file in [*ROOT.glob("docker/*/Dockerfile"), ROOT / ".devcontainer/Dockerfile"]]
    program = [str(Path(sys.executable).with_name("hadolint")), "--no-color", *files]
    found = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr


def test_no_image_is_pulled_for_the_recipe_itself(recipe: Recipe) -> None:
    assert not re.search(r"^#\s*syntax", recipe.text, re.MULTILINE)


def test_kubernetes_probes_and_no_health_check_of_the_image(recipe: Recipe) -> None:
    assert not recipe.all("HEALTHCHECK")


def test_builds_in_one_stage_and_keeps_another(recipe: Recipe) -> None:
    stages = recipe.all("FROM")
    assert len(stages) == 2
    assert {stage.split()[0] for stage in stages} == {"python:3.11-slim"}
    assert not [rest for name, rest in recipe.final if name == "RUN" and "pip" in rest]


def test_the_user_is_a_number_that_is_not_root(recipe: Recipe) -> None:
    assert [rest for name, rest in recipe.final if name == "USER"] == ["65532:65532"]


def test_labels_tell_what_it_is(recipe: Recipe) -> None:
    (labels,) = (rest for name, rest in recipe.final if name == "LABEL")
    assert set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", labels)) == LABELS


def test_version_label_defaults_to_the_version_file(recipe: Recipe) -> None:
    assert recipe.all("ARG")[0] == f"VERSION={(ROOT / 'VERSION').read_text().strip()}"


def test_uv_is_that_of_the_makefile(recipe: Recipe) -> None:
    found = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    assert f" uv=={found[1]}" in recipe.text


def test_what_is_copied_exists(recipe: Recipe) -> None:
    copies = [rest.split() for rest in recipe.all("COPY") if not rest.startswith("--from")]
    assert [source for *sources, _ in copies for source in sources if not (ROOT / source).exists()] == []


def test_the_lock_has_all_that_is_installed_with_hashes(recipe: Recipe, locked: dict[str, list[str]]) -> None:
    assert "--constraints requirements.lock" in recipe.third_party_install
    packages = recipe.third_party_packages()
    assert packages
    assert {package for package in packages if not locked.get(package)} == set()


@pytest.mark.parametrize("image", ["batch", "sidecar"])
def test_images_carry_all_packages_that_telemetry_settings_need(image: str) -> None:
    telemetry = {"prometheus-client", "datadog", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc", "click"}
    assert telemetry <= Recipe(image).third_party_packages()


def test_the_batch_image_installs_the_undertone_command() -> None:
    assert any("./services/cli" in run for run in Recipe("batch").all("RUN"))


def test_the_sidecar_carries_nothing_heavy() -> None:
    packages = Recipe("sidecar").third_party_packages()
    assert {"grpcio", "tokenizers", "prometheus-client"} <= packages
    assert not packages & NOT_IN_THE_SIDECAR
