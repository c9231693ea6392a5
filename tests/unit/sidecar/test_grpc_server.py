import importlib.metadata

import grpc
import pytest
from packaging.requirements import Requirement
from undertone_sidecar.errors import DependencyError
from undertone_sidecar.grpc_server import check_version


@pytest.mark.parametrize("version", ["1.85.1", "1.85.7", grpc.__version__])
def test_tested_versions_are_supported(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["1.84.0", "1.86.0", "1.8.5", "2.85.1", "1.850.0"])
def test_an_untested_version_is_named_with_the_remedy(version: str) -> None:
    with pytest.raises(DependencyError, match=rf"grpcio {version} is installed.* pip install 'grpcio==1\.85\.\*'"):
        check_version(version)


def test_the_distribution_requires_the_same_versions() -> None:
    (required,) = [
        requirement.specifier
        for requirement in map(Requirement, importlib.metadata.requires("undertone-sidecar") or ())
        if requirement.name == "grpcio"
    ]
    for version, supported in {"1.84.0": False, "1.85.1": True, "1.85.9": True, "1.86.0": False}.items():
        assert required.contains(version) is supported
