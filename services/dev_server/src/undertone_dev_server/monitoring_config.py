"""TF Serving's `--monitoring_config_file`."""

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

from undertone_dev_server.errors import SettingsError

DEFAULT_PATH = "/monitoring/prometheus/metrics"

_OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL


def read(path: Path) -> str:
    """Of a MonitoringConfig in protobuf's text format: the path that metrics are to be had at, "" where they are not enabled.

    Raises SettingsError for a file that cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--monitoring_config_file={path} cannot be read: {error}") from error
    parsed = _message()()
    try:
        text_format.Parse(text, parsed)
    except text_format.ParseError as error:
        raise SettingsError(f"--monitoring_config_file={path} is not a MonitoringConfig in text format: {error}") from error
    config = getattr(parsed, "prometheus_config")  # noqa: B009 - of a class that is made below
    return (config.path or DEFAULT_PATH) if config.enable else ""


def _message() -> type[Message]:
    """tensorflow.serving.MonitoringConfig, which the package of TF Serving's stubs leaves out."""
    field = descriptor_pb2.FieldDescriptorProto
    prometheus = descriptor_pb2.DescriptorProto(
        name="PrometheusConfig",
        field=[
            field(name="enable", number=1, type=field.TYPE_BOOL, label=_OPTIONAL),
            field(name="path", number=2, type=field.TYPE_STRING, label=_OPTIONAL),
        ],
    )
    monitoring = descriptor_pb2.DescriptorProto(
        name="MonitoringConfig",
        field=[
            field(
                name="prometheus_config",
                number=1,
                type=field.TYPE_MESSAGE,
                type_name=".tensorflow.serving.PrometheusConfig",
                label=_OPTIONAL,
            )
        ],
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="monitoring_config.proto", package="tensorflow.serving", syntax="proto3", message_type=[prometheus, monitoring]
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.MonitoringConfig"))
