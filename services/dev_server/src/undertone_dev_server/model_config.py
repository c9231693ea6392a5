"""Which models to serve, which of their versions, and what the versions are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from undertone_dev_server.errors import SettingsError

PLATFORM = "tensorflow"


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest `count` versions."""

    count: int = 1

    def choose(self, versions: Iterable[int]) -> frozenset[int]:
        return frozenset(sorted(versions)[-self.count :])


@dataclass(frozen=True, slots=True)
class All:
    """Every version that is there."""

    def choose(self, versions: Iterable[int]) -> frozenset[int]:
        return frozenset(versions)


@dataclass(frozen=True, slots=True)
class Specific:
    """These versions, as far as they are there."""

    versions: frozenset[int]

    def choose(self, versions: Iterable[int]) -> frozenset[int]:
        return self.versions.intersection(versions)


Policy = Latest | All | Specific


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model: the folder that holds its version folders, the policy that picks among them, and labels for versions."""

    name: str
    base_path: Path
    policy: Policy = Latest()
    labels: Mapping[str, int] = field(default_factory=dict)


def read(path: Path, *, labels_allowed: bool) -> tuple[ModelConfig, ...]:
    """Reads TF Serving's `--model_config_file`: a ModelServerConfig in protobuf's text format.

    `labels_allowed` is `--allow_version_labels_for_unavailable_models`; without it TF Serving refuses every label at start,
    because no version is loaded yet, and so does this server.

    Raises SettingsError for a file that cannot be read or parsed, or that TF Serving would refuse.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--model_config_file={path} cannot be read: {error}") from error
    parsed = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, parsed)
    except text_format.ParseError as error:
        raise SettingsError(f"--model_config_file={path} is not a ModelServerConfig in text format: {error}") from error
    models = tuple(_model(entry) for entry in parsed.model_config_list.config)
    if not models:
        raise SettingsError(f"--model_config_file={path} lists no model; write model_config_list {{ config {{ ... }} }}")
    for model in models:
        if sum(other.name == model.name for other in models) > 1:
            raise SettingsError(f"--model_config_file={path} lists the model '{model.name}' more than once")
        if model.labels and not labels_allowed:
            raise SettingsError(
                f"--model_config_file={path} gives labels to versions of '{model.name}' that are not loaded yet; "
                "add --allow_version_labels_for_unavailable_models=true"
            )
    return models


def _model(entry: model_server_config_pb2.ModelConfig) -> ModelConfig:
    if not entry.name:
        raise SettingsError("--model_config_file has a model without a name")
    if entry.model_platform != PLATFORM:
        raise SettingsError(
            f'model \'{entry.name}\' has model_platform "{entry.model_platform}"; the only platform is "{PLATFORM}"'
        )
    if not Path(entry.base_path).is_absolute():
        raise SettingsError(f"model '{entry.name}' has base_path \"{entry.base_path}\"; TF Serving wants an absolute path")
    return ModelConfig(entry.name, Path(entry.base_path), _policy(entry), dict(entry.version_labels))


def _policy(entry: model_server_config_pb2.ModelConfig) -> Policy:
    chosen = entry.model_version_policy
    match chosen.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            if not chosen.specific.versions:
                raise SettingsError(f"model '{entry.name}' asks for specific versions and names none")
            return Specific(frozenset(chosen.specific.versions))
        case _:
            return Latest(max(chosen.latest.num_versions, 1))
