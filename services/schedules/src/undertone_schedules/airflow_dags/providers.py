"""Imports from provider packages of Airflow, which are optional."""

from importlib import import_module
from typing import Any

from undertone_client import SettingsError


def import_provider(module: str, name: str, *, extra: str, user: str) -> Any:
    """Imports an object from a module of a provider package.

    Args:
        module: The module.
        name: The object.
        extra: The extra of undertone-schedules that installs the provider.
        user: What needs the provider.

    Raises:
        SettingsError: the provider is not installed.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{user} needs the package of {module!r}, but {error.name!r} is not installed: pip install"
            f" 'undertone-schedules[airflow,{extra}]'"
        ) from None
