"""Parts of Vega-Lite specifications: plain dictionaries, which a browser or vl-convert draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]

MB = 1 << 20
SECONDS = "seconds"


def quantity(name: str, title: str | None = "", **more: Any) -> Spec:
    """Returns an encoding by a field of numbers; a title that is empty is left out."""
    return {"field": name, "type": "quantitative", **({} if title == "" else {"title": title}), **more}


def nominal(name: str, title: str | None = "", **more: Any) -> Spec:
    """Returns an encoding by a field of names; a title that is empty is left out."""
    return {**quantity(name, title, **more), "type": "nominal"}


def colours(name: str, colour_of: dict[str, str], legend: Spec) -> Spec:
    """Returns a colour for each name that a field has, with a legend above the view."""
    scale = {"domain": list(colour_of), "range": list(colour_of.values())}
    return nominal(name, None, scale=scale, legend={"orient": "top", **legend})


def layer(kind: str, encoding: Spec, values: Sequence[Spec] | None = None, **mark: Any) -> Spec:
    """Returns marks of one kind.

    Args:
        kind: ``line``, ``rule``, ``text``, …
        encoding: What stands where.
        values: What is drawn; None draws what the view around it has.
        mark: How it looks.
    """
    data = {} if values is None else {"data": {"values": list(values)}}
    return {**data, "mark": {"type": kind, **mark}, **({"encoding": encoding} if encoding else {})}


def work_axis(title: str, domain: tuple[float, float] | None = None) -> Spec:
    """Returns the x axis of a chart over slices or seconds, which are field ``i``."""
    axis: Spec = {"grid": False, "tickCount": 6, "labelOverlap": True}
    if title != SECONDS:
        axis |= {"tickMinStep": 1, "format": ",d"}
    scale = {"nice": False, **({"domain": list(domain)} if domain else {})}
    return quantity("i", title, scale=scale, axis=axis)


def heading(text: str, subtitle: str | list[str], **more: Any) -> Spec:
    """Returns a chart's title with lines below it."""
    return {"text": text, "subtitle": subtitle, "anchor": "start", **more}
