"""The built wheels and sdists, and their installation alone in clean environments."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from release.distributions import Member, Wheel, build, check_metadata, read_members
from release.errors import ReleaseError
from release.installation import CleanEnvironment
from release.version import read_version

ROOT = Path(__file__).parents[2]
MEMBERS = [member for member in read_members(ROOT) if member.published]
VERSION = read_version(ROOT)

LIGHT = ["undertone-protos", "undertone-telemetry", "undertone-client", "undertone", "undertone-sidecar"]
"""The distributions without TensorFlow and Spark. `make release-check` installs all of them."""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dists")


@pytest.fixture(scope="module")
def wheels(output: Path) -> dict[str, Wheel]:
    """All published wheels, by the names of their distributions."""
    return {wheel.name: wheel for wheel in build(ROOT, MEMBERS, VERSION, output)}


def test_every_published_member_has_complete_metadata(wheels: dict[str, Wheel]) -> None:
    assert set(wheels) == {member.name for member in MEMBERS}
    assert [problem for wheel in wheels.values() for problem in check_metadata(wheel, MEMBERS, VERSION)] == []


def test_missing_metadata_is_a_problem(wheels: dict[str, Wheel]) -> None:
    assert check_metadata(wheels["undertone"], MEMBERS, "9.9.9") == [
        f"undertone-{VERSION}-py3-none-any.whl lacks version 9.9.9.",
        f"undertone-{VERSION}-py3-none-any.whl lacks other members required in version 9.9.9.",
    ]


def test_members_require_each_other_in_the_same_version(wheels: dict[str, Wheel]) -> None:
    lines = wheels["undertone-sidecar"].metadata.get_all("Requires-Dist", [])
    requirements = {requirement.name: str(requirement.specifier) for requirement in map(Requirement, lines)}
    assert requirements["undertone-protos"] == f"=={VERSION}"


def test_wheels_contain_only_their_packages(wheels: dict[str, Wheel]) -> None:
    for wheel in wheels.values():
        (package,) = wheel.packages
        assert package.startswith("undertone_")
        assert [name for name in wheel.files if "__pycache__" in name or "/tests/" in name] == []


def test_wheel_of_the_model_contains_the_sample_of_the_gate(wheels: dict[str, Wheel]) -> None:
    stories = [name for name in wheels["undertone-model"].files if "/artifacts/stories/" in name]
    assert len(stories) == 22
    assert all(name.endswith(".jsonl") for name in stories)


def test_sdists_contain_version_license_and_no_reference_outside(output: Path, wheels: dict[str, Wheel]) -> None:
    for name in wheels:
        (sdist,) = output.glob(f"{name.replace('-', '_')}-{VERSION}.tar.gz")
        with tarfile.open(sdist) as archive:
            names = {member.name.partition("/")[2] for member in archive.getmembers()}
            assert not [member.name for member in archive.getmembers() if member.issym() or member.islnk()]
        assert {"PKG-INFO", "LICENSE", "README.md", "pyproject.toml"} <= names


def test_a_member_that_cannot_be_built_is_an_error(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["broken"]\n')
    (tmp_path / "VERSION").write_text("1.0.0\n")
    (tmp_path / "LICENSE").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/pyproject.toml").write_text(
        '[project]\nname = "broken"\nversion = "1"\ndependencies = []\nreadme = "missing"\n'
    )
    with pytest.raises(ReleaseError, match=r"The sdist of broken could not be built:(.|\n)*missing"):
        build(tmp_path, read_members(tmp_path), "1.0.0", tmp_path / "output")


@pytest.mark.parametrize("name", LIGHT)
def test_each_light_distribution_works_alone(name: str, wheels: dict[str, Wheel], tmp_path: Path) -> None:
    environment = CleanEnvironment(ROOT, tmp_path / "environment")
    installation = environment.install(wheels[name], list(wheels.values()))
    assert name in installation.sizes
    print(installation)
    environment.try_commands(wheels[name], member(name), VERSION)


def test_a_command_that_fails_is_an_error(wheels: dict[str, Wheel], tmp_path: Path) -> None:
    environment = CleanEnvironment(ROOT, tmp_path / "environment")
    environment.install(wheels["undertone-protos"], list(wheels.values()))
    broken = Member(Path(), "undertone-protos", published=True, scripts=("python",))
    with pytest.raises(ReleaseError, match=f"'python --version' prints 'Python {sys.version.split()[0]}', without {VERSION}"):
        environment.try_commands(wheels["undertone-protos"], broken, VERSION)


def member(name: str) -> Member:
    (found,) = (member for member in MEMBERS if member.name == name)
    return found
