"""Undertone's preprocessing sidecar: paragraphs in, tensors to TF Serving, emotions out."""

from undertone_sidecar.errors import SidecarError
from undertone_sidecar.settings import Settings
from undertone_sidecar.sidecar import Sidecar

__all__ = ["Settings", "Sidecar", "SidecarError"]
