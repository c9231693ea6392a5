"""Families of encoders: how their checkpoints are read."""

from undertone_model.families.family import FAMILIES, Family, find_family

__all__ = ["FAMILIES", "Family", "find_family"]
