"""Run as `python tiny_models.py FOLDER`: exports two tiny models with different answers to
FOLDER/emotions/1 and FOLDER/emotions/2.

It is a separate program, so that the tests' process does not load TensorFlow.
"""

import sys
from pathlib import Path

from undertone_model.__main__ import undertone_model
from undertone_model.testing import tiny_checkpoint

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for version in ("1", "2"):
        checkpoint = tiny_checkpoint(folder / f"checkpoint-{version}", seed=int(version))
        options = {"--checkpoint": str(checkpoint), "--name": "emotions", "--version": version, "--precision": "fp32"}
        arguments = ["export", str(folder), *(word for option in options.items() for word in option)]
        undertone_model(arguments, standalone_mode=False)
