"""TF Serving's `--monitoring_config_file`: a MonitoringConfig in the text format of protocol
buffers.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

from undertone_dev_server.errors import SettingsError

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def read(path: Path) -> str:
    """Returns the URL path of the metrics, or "" if the file does not enable them.

    Raises SettingsError for a file that cannot be read or parsed.
    """
    # The class is generated at run time, so mypy does not know the fields.
    config: Any = _message_class()()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read --monitoring_config_file={path}: {error}") from error
    except text_format.ParseError as error:
        raise SettingsError(f"--monitoring_config_file={path} is not a MonitoringConfig in text format: {error}") from error
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else ""


def _message_class() -> type[Message]:
    """tensorflow.serving.MonitoringConfig, which the package tensorflow-serving-api does not
    contain.
    """
    field = descriptor_pb2.FieldDescriptorProto
    optional = field.LABEL_OPTIONAL
    prometheus = descriptor_pb2.DescriptorProto(
        name="PrometheusConfig",
        field=[
            field(name="enable", number=1, type=field.TYPE_BOOL, label=optional),
            field(name="path", number=2, type=field.TYPE_STRING, label=optional),
        ],
    )
    type_name = ".tensorflow.serving.PrometheusConfig"
    monitoring = descriptor_pb2.DescriptorProto(
        name="MonitoringConfig",
        field=[field(name="prometheus_config", number=1, type=field.TYPE_MESSAGE, type_name=type_name, label=optional)],
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="monitoring_config.proto", package="tensorflow.serving", syntax="proto3", message_type=[prometheus, monitoring]
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.MonitoringConfig"))
