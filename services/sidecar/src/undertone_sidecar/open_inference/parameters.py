"""Parameters of requests: how to score the paragraphs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from undertone_protos.inference import open_inference_pb2

from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import RequestError

_POLICY: Final = "overlength_policy"
_LANE: Final = "lane"
_TIMEOUT: Final = "timeout"
_MEANINGFUL: Final = (_POLICY, _LANE, _TIMEOUT)

IGNORED: Final = frozenset({"content_type", "headers", "binary_data", "binary_data_output", "binary_data_size"})
"""Parameters of clients that say how they encode and decode tensors."""

_POLICY_PREFIX: Final = "OVERLENGTH_POLICY_"
_MICROSECOND: Final = 1e-6
_SHOWN_CHARACTERS: Final = 64

Parameters = Mapping[str, open_inference_pb2.InferParameter]


@dataclass(frozen=True, slots=True)
class InferOptions:
    """The parameters of a request.

    Attributes:
        policy: Handling of overlength paragraphs.
        lane: Lane of the call. None for the lane of its metadata.
        timeout_seconds: Time to answer. None for no limit except the deadline of the call.
    """

    policy: OverlengthPolicy = OverlengthPolicy.CHUNK_MEAN
    lane: Lane | None = None
    timeout_seconds: float | None = None

    @classmethod
    def read(cls, parameters: Parameters) -> Self:
        """The options of a request. Raises RequestError."""
        check_names(parameters, "request", _MEANINGFUL)
        return cls(
            policy=_policy(parameters[_POLICY]) if _POLICY in parameters else OverlengthPolicy.CHUNK_MEAN,
            lane=_lane(parameters[_LANE]) if _LANE in parameters else None,
            timeout_seconds=_timeout(parameters[_TIMEOUT]) if _TIMEOUT in parameters else None,
        )


def check_names(parameters: Parameters, owner: str, known: Collection[str] = ()) -> None:
    """Refuses parameters without a meaning here, such as shared memory. Raises RequestError.

    Args:
        parameters: The parameters.
        owner: What has the parameters, for the message.
        known: Names that are accepted.
    """
    for name in parameters:
        if name not in IGNORED and name not in known:
            remedy = f"send {', '.join(known)} only" if known else "remove it"
            raise RequestError(f"the parameter {shown(name)} of the {owner} is not supported: {remedy}")


def shown(name: str) -> str:
    """A name of the caller, quoted and in bounded length, for messages."""
    return repr(name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…")


def _policy(parameter: open_inference_pb2.InferParameter) -> OverlengthPolicy:
    name = _string(parameter)
    policy = OverlengthPolicy.__members__.get(name.removeprefix(_POLICY_PREFIX)) if name is not None else None
    if policy is None:
        known = ", ".join(OverlengthPolicy.__members__)
        raise RequestError(f"the parameter {_POLICY} is {_value(parameter)}; send one of the strings {known}")
    return policy


def _lane(parameter: open_inference_pb2.InferParameter) -> Lane:
    try:
        return Lane(_string(parameter))
    except ValueError:
        known = " or ".join(lane.value for lane in Lane)
        raise RequestError(f"the parameter {_LANE} is {_value(parameter)}; send the string {known}") from None


def _timeout(parameter: open_inference_pb2.InferParameter) -> float | None:
    kind = parameter.WhichOneof("parameter_choice")
    microseconds = getattr(parameter, kind) if kind in {"int64_param", "uint64_param"} else -1
    if microseconds < 0:
        raise RequestError(
            f"the parameter {_TIMEOUT} is {_value(parameter)}; send microseconds as an integer, or 0 for no limit"
        )
    return microseconds * _MICROSECOND or None


def _string(parameter: open_inference_pb2.InferParameter) -> str | None:
    return parameter.string_param if parameter.WhichOneof("parameter_choice") == "string_param" else None


def _value(parameter: open_inference_pb2.InferParameter) -> str:
    kind = parameter.WhichOneof("parameter_choice")
    if kind is None:
        return "empty"
    value = getattr(parameter, kind)
    return shown(value) if isinstance(value, str) else repr(value)
