"""CHANGELOG.md: a section for each version, the newest first."""

import re
from dataclasses import dataclass
from datetime import date

from release.errors import ReleaseError

_HEADING = re.compile(r"^## (?P<version>\S+) \((?P<date>[^)]*)\)$")


@dataclass(frozen=True, slots=True)
class Section:
    """The changes of one version."""

    version: str
    released: date | None
    """None while the version is in development."""
    text: str


def read_sections(changelog: str) -> list[Section]:
    """Parses all sections. Raises ReleaseError if a heading is not in the documented form."""
    sections = []
    for block in re.split(r"^(?=## )", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = block.partition("\n")
        match = _HEADING.fullmatch(heading)
        try:
            if not match:
                raise ValueError
            released = None if match["date"] == "unreleased" else date.fromisoformat(match["date"])
        except ValueError:
            raise ReleaseError(
                f"CHANGELOG.md has the heading '{heading}': use '## X.Y.Z (YYYY-MM-DD)' or '## X.Y.Z (unreleased)'."
            ) from None
        sections.append(Section(match["version"], released, text.strip()))
    return sections


def check_changelog(changelog: str, version: str) -> list[str]:
    """Returns the problems of the changelog while `version` is the current version."""
    try:
        sections = read_sections(changelog)
    except ReleaseError as error:
        return [str(error)]
    if not sections or sections[0].version != version:
        return [f"CHANGELOG.md does not begin with a section for version {version}."]
    problems = []
    if not sections[0].text:
        problems.append(f"The section for {version} in CHANGELOG.md is empty.")
    problems += [
        f"The section for {section.version} in CHANGELOG.md has no release date."
        for section in sections[1:]
        if section.released is None
    ]
    return problems


def add_section(changelog: str, version: str) -> str:
    """Returns the changelog with an empty, unreleased section for `version` unless it has one."""
    sections = read_sections(changelog)
    if any(section.version == version for section in sections):
        return changelog
    before, heading, after = changelog.partition("## ")
    return f"{before}## {version} (unreleased)\n\n{heading}{after}"


def release_notes(changelog: str, version: str, tag: str) -> str:
    """The text of the GitHub release for `tag`.

    Raises ReleaseError unless the tag is `v` and the current version, and the changelog's newest
    section describes this version and has a release date.
    """
    problems = check_changelog(changelog, version)
    if tag != f"v{version}":
        problems.append(f"The tag is '{tag}' and the version is {version}: expected the tag 'v{version}'.")
    if not problems and (section := read_sections(changelog)[0]).released is None:
        problems.append(f"The section for {section.version} in CHANGELOG.md says 'unreleased': write the date of the release.")
    if problems:
        raise ReleaseError.of(problems)
    return section.text
