"""Whether a line of a recording is what it says: a damaged one is told of in one line, whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfmemdebug.recording.sample import Sample

_NUMBER = (int, float, type(None))
_TEXT = (str, type(None))
_COUNT = (int, type(None))

# What is known of a line's fields: types, a mapping of fields, or a list of such. What is not named may be anything.
_HEADER: dict[str, Any] = {
    "command": str,
    "command_line": _TEXT,
    "reproduce": _TEXT,
    "iteration": _TEXT,
    "min_leak": _NUMBER,
    "missing": [str],
    "notes": [str],
    "environment": {...: str},
    "arm": {"name": str, "mode": str, "consumer": bool},
    "workload": {
        "dataset": _TEXT,
        "consumer": _TEXT,
        "step": _COUNT,
        "count": _COUNT,
        "warmup": _COUNT,
        "epochs": _COUNT,
        "bytes_per_row": _NUMBER,
    },
    "loaded": {
        "source": _TEXT,
        "name": _TEXT,
        "storage": _TEXT,
        "rows": _COUNT,
        "notes": [str],
        "files": [{"path": str, "size_bytes": _COUNT, "filesystem": _TEXT}],
    },
}
_TRACED = {"file": _TEXT, "line": _COUNT, "function": _TEXT, "kind": _TEXT, "path": _TEXT, "in_library": bool,
           "bytes_per_iteration": _NUMBER, "count_per_iteration": _NUMBER, "share": _NUMBER,
           "growth_per_iteration": _NUMBER}  # fmt: skip
_RECLAIM = {"asked_bytes": _COUNT, "rss_before": _COUNT, "rss_after": _COUNT, "freed_bytes": _COUNT, "how": _TEXT,
            "why_not": _TEXT, "same_data": (bool, type(None))}  # fmt: skip
_END: dict[str, Any] = {
    "outcome": str,
    "detail": _TEXT,
    "cut": _TEXT,
    # Of a program: inside and outside of it.
    "observer_seconds": (*_NUMBER, dict),
    "loop_seconds": _NUMBER,
    "exit_status": _COUNT,
    "reclaim": _RECLAIM,
    "trace": {"sites": [_TRACED], "holders": [_TRACED]},
    "processes": [{"pid": int, "role": _TEXT, "files": [{"path": str, "resident_bytes": int}]}],
}
_SAMPLE: dict[str, Any] = {
    name: str if "str" in hint else bool if "bool" in hint else float if "float" in hint else int
    for name, hint in Sample.__annotations__.items()
}
_SAMPLE["seconds"] = (int, float)
_NEEDED = ("kind", "epoch", "slice", "seconds")


def wrong_in_header(document: Mapping[str, Any]) -> str | None:
    """The field of a header line that is not what it should be; None where all that are there are."""
    return _wrong(document, _HEADER)


def missing_in_header(document: Mapping[str, Any]) -> str | None:
    """The field without which a recording cannot be judged and is not there; None where all are."""
    arm = document.get("arm") or {}
    absent = [name for name in ("command", "arm", "workload") if document.get(name) is None]
    absent += [f"arm.{name}" for name in ("name", "mode", "consumer") if name not in arm]
    return absent[0] if absent else None


def wrong_in_sample(document: Mapping[str, Any]) -> str | None:
    """The same of a sample's line."""
    if missing := [name for name in _NEEDED if document.get(name) is None]:
        return missing[0]
    for name, value in document.items():
        if value is not None and (kind := _SAMPLE.get(name)) is not None and _wrong(value, kind) is not None:
            return name
    return "epoch" if document["epoch"] < 0 else None


def wrong_in_end(document: Mapping[str, Any]) -> str | None:
    """The same of a closing line."""
    return "outcome" if "outcome" not in document else _wrong(document, _END)


def _wrong(value: Any, known: Any) -> str | None:
    """The path of what is not as it should be, "" for the value itself; None where nothing is."""
    if isinstance(known, dict):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return ""
        for name, inner in value.items():
            if (shape := known.get(name, known.get(...))) is not None:
                wrong = _wrong(inner, shape)
                if wrong is not None:
                    return f"{name}.{wrong}".rstrip(".")
        return None
    if isinstance(known, list):
        if value is None:
            return None
        if not isinstance(value, list):
            return ""
        # An entry of a list is there, or the list is shorter.
        found = ("" if item is None else _wrong(item, known[0]) for item in value)
        return next((wrong for wrong in found if wrong is not None), None)
    if (
        isinstance(value, bool)
        and known is not bool
        and bool not in (known if isinstance(known, tuple) else ())
    ):
        return ""
    return None if isinstance(value, known) else ""
