"""Files that GitHub reads, besides the workflows."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FORMS = [file for file in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if file.name != "config.yml"]


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.stem)
def test_issue_forms_have_what_github_requires(file: Path) -> None:
    form = yaml.safe_load(file.read_text())
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"checkboxes", "dropdown", "input", "textarea"}
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_dependabot_looks_into_every_folder_with_dependencies() -> None:
    settings = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    watched = {
        (update["package-ecosystem"], str(folder.relative_to(ROOT)))
        for update in settings["updates"]
        for pattern in update.get("directories", [update.get("directory")])
        for folder in ([ROOT] if pattern == "/" else ROOT.glob(pattern.lstrip("/")))
    }
    files = {"pip": "pyproject.toml", "docker": "Dockerfile", "npm": "package.json"}
    for ecosystem, name in files.items():
        tracked = {
            str(file.parent.relative_to(ROOT))
            for pattern in (name, f"*/{name}", f"*/*/{name}")
            for file in ROOT.glob(pattern)
            if file.relative_to(ROOT).parts[0] not in ("build", ".venv")
        }
        assert {(ecosystem, folder) for folder in tracked} <= watched


def test_generated_files_are_marked() -> None:
    command = ["git", "ls-files", ":(attr:linguist-generated)"]
    marked = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert {
        "deploy/helm/undertone/README.md",
        "deploy/helm/undertone/files/dashboards/undertone.json",
        "deploy/helm/undertone/files/envoy/classifier.binpb",
        "docs/reference/metrics.md",
        "protos/src/undertone_protos/v1/classifier_pb2.py",
        "protos/src/undertone_protos/v1/classifier_pb2_grpc.pyi",
        "requirements.lock",
    } <= set(marked)


def test_the_development_container_has_its_user() -> None:
    settings = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    dockerfile = (ROOT / ".devcontainer" / settings["build"]["dockerfile"]).read_text()
    assert re.search(rf"useradd --uid (\d+) .* {settings['remoteUser']}\nUSER \1\n", dockerfile)
