"""Families of encoders: how their checkpoints are read."""

from undertone_model.families.activations import ACTIVATIONS
from undertone_model.families.family import FAMILIES, Family, find_family
from undertone_model.families.names import HEAD

__all__ = ["ACTIVATIONS", "FAMILIES", "HEAD", "Family", "find_family"]
