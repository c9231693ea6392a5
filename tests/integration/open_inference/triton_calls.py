"""Calls a pod with tritonclient, and prints the answers as JSON.

Usage: triton_calls.py grpc|http TARGET, with the texts as a JSON array on standard input. It runs
in build/inference-clients.
"""

import importlib
import json
import sys
from typing import Any

import numpy as np
from tritonclient.utils import InferenceServerException


def text_input(texts: list[str], *, column: bool = False, **form: bool) -> Any:
    values = np.array([text.encode() for text in texts], dtype=np.object_)
    if column:
        values = values.reshape(-1, 1)
    tensor = triton.InferInput("text", list(values.shape), "BYTES")
    tensor.set_data_from_numpy(values, **form)
    return tensor


def answer(result: Any, names: list[str]) -> dict[str, Any]:
    """The outputs as lists. A missing output is None."""
    values = {}
    for name in names:
        array = result.as_numpy(name)
        if array is not None and array.dtype == np.object_:
            array = np.array([text.decode() if isinstance(text, bytes) else text for text in array.ravel()], dtype=np.object_)
        values[name] = None if array is None else array.tolist()
    return values


def error_of(call: Any, *arguments: Any, **options: Any) -> dict[str, str]:
    try:
        call(*arguments, **options)
    except InferenceServerException as error:
        return {"status": str(error.status()), "message": str(error.message())}
    raise AssertionError("the call succeeded")


kind, target = sys.argv[1:]
texts: list[str] = json.load(sys.stdin)
# importlib, because the two modules have the same API, and one process needs only one.
triton = importlib.import_module(f"tritonclient.{kind}")
as_json = {"as_json": True} if kind == "grpc" else {}
form = {} if kind == "grpc" else {"binary_data": False}
rows = ["probabilities", "label", "tokens", "truncated", "chunks", "flags"]
with triton.InferenceServerClient(target) as client:
    requested = [triton.InferRequestedOutput(name, **form) for name in ("label", "labels", "probabilities")]
    labels = answer(client.infer("emotions", [text_input(texts[:1])], outputs=[requested[1]]), ["labels"])["labels"]
    print(
        json.dumps(
            {
                "live": client.is_server_live(),
                "ready": client.is_server_ready(),
                "model_ready": [client.is_model_ready("emotions", version) for version in ("", "1")],
                "server": client.get_server_metadata(**as_json),
                "model": client.get_model_metadata("emotions", **as_json),
                "labels": labels,
                "batch": answer(client.infer("emotions", [text_input(texts)], model_version="1", request_id="7"), rows),
                "alone": [answer(client.infer("emotions", [text_input([text])]), rows) for text in texts],
                "column": answer(client.infer("emotions", [text_input(texts, column=True, **form)], outputs=requested), rows),
                "truncated": answer(
                    client.infer(
                        "emotions", [text_input(texts)], parameters={"overlength_policy": "TRUNCATE", "lane": "batch"}
                    ),
                    rows,
                ),
                "later": answer(client.async_infer("emotions", [text_input(texts)]).get_result(), rows)
                if kind == "http"
                else None,
                "errors": {
                    "model": error_of(client.infer, "sentiment", [text_input(texts)]),
                    "version": error_of(client.infer, "emotions", [text_input(texts)], model_version="7"),
                    "paragraph": error_of(client.infer, "emotions", [text_input([*texts, " "])]),
                    "output": error_of(
                        client.infer, "emotions", [text_input(texts)], outputs=[triton.InferRequestedOutput("logits")]
                    ),
                    "classes": error_of(
                        client.infer,
                        "emotions",
                        [text_input(texts)],
                        outputs=[triton.InferRequestedOutput("probabilities", class_count=3)],
                    ),
                    "priority": error_of(client.infer, "emotions", [text_input(texts)], priority=1),
                    "config": error_of(client.get_model_config, "emotions"),
                },
            }
        )
    )
