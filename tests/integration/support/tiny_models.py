"""Run as `python tiny_models.py FOLDER`: exports two tiny models with different answers to
FOLDER/emotions/1 and FOLDER/emotions/2, and a multi-label model to FOLDER/multi-label/emotions/1.

It is a separate program, so that the tests' process does not load TensorFlow.
"""

import sys
from pathlib import Path

from undertone_model.__main__ import undertone_model
from undertone_model.testing import tiny_checkpoint, tiny_multi_label_export

MULTI_LABELS = ("joy or relief", "LABEL_1", "n/a", "Été", "[red]")
THRESHOLDS = (0.8, 0.9, 0.72, 0.94, 0.81)
"""With these, some texts have no label, and some have several."""

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for version in ("1", "2"):
        checkpoint = tiny_checkpoint(folder / f"checkpoint-{version}", seed=int(version))
        options = {"--checkpoint": str(checkpoint), "--name": "emotions", "--version": version, "--precision": "fp32"}
        arguments = ["export", str(folder), *(word for option in options.items() for word in option)]
        undertone_model(arguments, standalone_mode=False)
    tiny_multi_label_export(folder / "multi-label", MULTI_LABELS, THRESHOLDS)
