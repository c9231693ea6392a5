"""TF Serving's `--model_config_file`: a ModelServerConfig in the text format of protobuf."""

from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from undertone_dev_server.errors import SettingsError
from undertone_dev_server.version_policy import VersionPolicy


class ModelConfig(NamedTuple):
    """The model to serve: its name, its base path and its versions."""

    name: str
    base_path: Path
    policy: VersionPolicy


def read(path: Path) -> ModelConfig:
    """Reads the file `path`, which must configure one model.

    Raises SettingsError for a file that cannot be read or parsed, for another number of models, and
    for version labels.
    """
    file = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read --model_config_file={path}: {error}") from error
    except text_format.ParseError as error:
        raise SettingsError(f"--model_config_file={path} is not a ModelServerConfig in text format: {error}") from error
    models = file.model_config_list.config
    if len(models) != 1:
        raise SettingsError(f"--model_config_file={path} configures {len(models)} models; this server serves exactly 1")
    model = models[0]
    if not model.name or not model.base_path:
        raise SettingsError(f"--model_config_file={path}: the model needs a name and a base_path")
    if model.version_labels:
        raise SettingsError(f"--model_config_file={path}: this server does not support version_labels; remove them")
    return ModelConfig(model.name, Path(model.base_path), _policy(model.model_version_policy))


def _policy(message: Any) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(latest=None)
        case "specific":
            return VersionPolicy(specific=frozenset(message.specific.versions))
        case _:
            return VersionPolicy(latest=max(1, message.latest.num_versions))
