"""The AWS commands of docs/how-to/athena.md fit the models of the services."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import Session
from botocore.validate import validate_parameters

PAGE = Path(__file__).parents[2] / "docs/how-to/athena.md"
GLOBAL = {"region", "output", "query"}
"""Options of the command line itself."""


def commands() -> list[list[str]]:
    """The arguments of each `aws` command, also of those in the loop."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    found = [match for block in blocks for match in re.findall(r"aws (?:[^\n()]|\([^\n]*?\*\))*", block)]
    return [shlex.split(command.split(") &&")[0]) for command in found]


def value_of(text: str, kind: str) -> Any:
    """The value of an option: JSON, the command line's short form of a map, or text."""
    if kind != "structure":
        return text
    if text.startswith("{"):
        return json.loads(text)
    pairs = dict(pair.split("=", 1) for pair in text.split(","))
    return {name: value == "true" if value in ("true", "false") else value for name, value in pairs.items()}


def test_commands_are_found() -> None:
    assert len(commands()) >= 11


@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command[1:3]))
def test_a_command_fits_the_service(command: list[str]) -> None:
    _, service, operation, *options = command
    model = Session().get_service_model("s3" if service == "s3api" else service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members}
    given = {name.removeprefix("--"): value for name, value in zip(options[::2], options[1::2], strict=True)}
    parameters = {
        members[name]: value_of(value, shape.members[members[name]].type_name)
        for name, value in given.items()
        if name not in GLOBAL
    }
    validate_parameters(parameters, shape)


def test_the_policy_is_json() -> None:
    [policy] = [command[command.index("--policy-document") + 1] for command in commands() if "--policy-document" in command]
    assert {statement["Effect"] for statement in json.loads(policy)["Statement"]} == {"Allow"}
