"""Undertone's inference sidecar: tokenizes paragraphs, batches them, and calls TF Serving."""

from undertone_sidecar.errors import SettingsError, SidecarError
from undertone_sidecar.settings import Settings
from undertone_sidecar.sidecar import Sidecar

__all__ = ["Settings", "SettingsError", "Sidecar", "SidecarError"]
