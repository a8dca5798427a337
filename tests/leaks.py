"""Sites and holders for tests."""

from __future__ import annotations

from typing import Any

from hfmemdebug.decode import encode
from hfmemdebug.leak import Holder, Root, RootPath, Site, Step

SITE = Site("train.py", 7, "main", "python", 8_000_000.0, 100_000.0, 1.0)


def held(type_: str = "list", *names: str | Step, module: str = "train", **fields: Any) -> Holder:
    """A holder that a module leads to: of a type, by names, of which those after the first are attributes."""
    steps = [
        each if isinstance(each, Step) else Step("attribute" if number else "name", each)
        for number, each in enumerate(names or ("seen",))
    ]
    given = {"kind": "container", "growth_per_iteration": 1.0, "unit": "item", **fields}
    return Holder(at=RootPath(Root("module", module), tuple(steps), type_), **given)


def document(*found: Site | Holder) -> list[dict[str, Any]]:
    """Sites or holders as a recording has them."""
    return [encode(each) for each in found]
