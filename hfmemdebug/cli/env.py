"""`hfmemdebug env`."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def env(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Prints versions and settings that matter to memory, in the layout of `datasets-cli env`.

    [bold]Examples[/bold]

      hfmemdebug env

      hfmemdebug env --json
    """
    from hfmemdebug.probes.environment import INTRO, environment, format_environment
    from hfmemdebug.render.redact import Redactor

    lines = Redactor.of_this_machine().document(environment())
    if as_json:
        print(json.dumps({"schema": "hfmemdebug.env.v1", "environment": lines}, indent=2, ensure_ascii=False))
    else:
        print(f"\n{INTRO}\n\n{format_environment(lines)}")
