"""The environment that a model server computes fastest with: model-server.env, beside this file."""

from importlib.resources import files
from typing import Final

FILE: Final = "model-server.env"


def recommended() -> dict[str, str]:
    """The variables of FILE. Whoever starts a model server gives them to it, beneath what its user has set."""
    lines = files("undertone_dev_server").joinpath(FILE).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
