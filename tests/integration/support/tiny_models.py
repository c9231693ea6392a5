"""Run as `python tiny_models.py FOLDER`: exports FOLDER/emotions/1 and FOLDER/emotions/2, two tiny
models that disagree.

A program of its own, because TensorFlow shall not be loaded into the process of the tests.
"""

import sys
from pathlib import Path

from undertone_model.__main__ import undertone_model
from undertone_model.testing import tiny_checkpoint

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for version in ("1", "2"):
        checkpoint = tiny_checkpoint(folder / f"checkpoint-{version}", seed=int(version))
        arguments = [
            "export",
            str(folder),
            "--checkpoint",
            str(checkpoint),
            "--name",
            "emotions",
            "--version",
            version,
            "--precision",
            "fp32",
        ]
        undertone_model(arguments, standalone_mode=False)
