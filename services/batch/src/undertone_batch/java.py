"""The Java that Spark would start: whether there is one, and whether it is new enough."""

import os
import re
import shutil
import subprocess

from undertone_client import SettingsError

OLDEST = 17
"""Spark 4 is compiled for it; on an older one it ends with an UnsupportedClassVersionError."""

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
"""Up to 8, the number that counts was the second: 1.8.0."""


def check_java() -> None:
    """Make sure that Spark can start.

    Raises:
        SettingsError: Java is missing, does not run, or is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else "java"
    remedy = f"install Java {OLDEST} or later, or set JAVA_HOME to where it is"
    if shutil.which(java) is None:
        raise SettingsError(f"Spark needs Java, and there is no {java!r}; {remedy}")
    try:
        said = subprocess.run([java, "-version"], check=False, capture_output=True, text=True, errors="replace").stderr
    except OSError as error:
        said = error.strerror or str(error)
    version = _VERSION.search(said)
    if version is None:
        raise SettingsError(f"Spark needs Java, and {java!r} does not tell its version but {said.strip()[:200]!r}; {remedy}")
    if int(version[1]) < OLDEST:
        raise SettingsError(f"Spark needs Java {OLDEST} or later, and {java!r} is Java {version[1]}; {remedy}")
