"""CHANGELOG.md and the notes of a release."""

from datetime import date
from pathlib import Path

import pytest

from release.changelog import Section, add_section, check_changelog, read_sections, release_notes
from release.errors import ReleaseError
from release.version import read_version

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

Text above the sections.

## 0.2.0 (2026-12-01)

- One change.

### More

- Another change.

## 0.1.0 (2026-11-01)

- The first version.
"""


def test_the_changelog_describes_the_version() -> None:
    assert check_changelog((ROOT / "CHANGELOG.md").read_text(), read_version(ROOT)) == []


def test_sections_are_read_newest_first() -> None:
    newest, oldest = read_sections(CHANGELOG)
    assert newest == Section("0.2.0", date(2026, 12, 1), "- One change.\n\n### More\n\n- Another change.")
    assert oldest == Section("0.1.0", date(2026, 11, 1), "- The first version.")


def test_notes_are_the_text_of_the_newest_section() -> None:
    assert release_notes(CHANGELOG, "0.2.0", "v0.2.0") == "- One change.\n\n### More\n\n- Another change."


@pytest.mark.parametrize(
    ("changelog", "tag", "problem"),
    [
        (CHANGELOG, "v0.2.1", "The tag is 'v0.2.1' and the version is 0.2.0"),
        (CHANGELOG, "0.2.0", "expected the tag 'v0.2.0'"),
        (CHANGELOG.replace("0.2.0 (2026-12-01)", "0.2.0 (unreleased)"), "v0.2.0", "write the date of the release"),
        (CHANGELOG.replace("## 0.2.0", "## 0.3.0"), "v0.2.0", "does not begin with a section for version 0.2.0"),
        (
            CHANGELOG.replace("- One change.\n\n### More\n\n- Another change.\n\n", ""),
            "v0.2.0",
            "0.2.0 in CHANGELOG.md is empty",
        ),
        (
            CHANGELOG.replace("(2026-11-01)", "(unreleased)"),
            "v0.2.0",
            "The section for 0.1.0 in CHANGELOG.md has no release date",
        ),
        (CHANGELOG.replace("(2026-11-01)", "(1 November)"), "v0.2.0", r"has the heading '## 0.1.0 \(1 November\)'"),
        (CHANGELOG.replace("## 0.1.0 (2026-11-01)", "## Unreleased"), "v0.2.0", "has the heading '## Unreleased'"),
        ("# Changelog\n", "v0.2.0", "does not begin with a section"),
    ],
)
def test_a_release_whose_parts_disagree_is_refused(changelog: str, tag: str, problem: str) -> None:
    with pytest.raises(ReleaseError, match=problem):
        release_notes(changelog, "0.2.0", tag)


def test_a_new_version_gets_an_unreleased_section() -> None:
    extended = add_section(CHANGELOG, "0.3.0")
    assert extended.startswith("# Changelog\n\nText above the sections.\n\n## 0.3.0 (unreleased)\n\n## 0.2.0 (2026-12-01)\n")
    assert read_sections(extended)[0] == Section("0.3.0", None, "")
    assert add_section(extended, "0.3.0") == extended
