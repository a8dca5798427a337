"""`hfmemdebug env`."""

from __future__ import annotations

import json

from hfmemdebug.cli.output import JsonOption


def env(as_json: JsonOption = False) -> None:
    """Prints versions and settings that matter to memory, in the layout of `datasets-cli env`.

    \b
    Examples:
      hfmemdebug env
      hfmemdebug env --json
    """
    from hfmemdebug.probes.environment import INTRO, environment, format_environment
    from hfmemdebug.render.redact import Redactor
    from hfmemdebug.supervise.limits.start import what_works

    redact = Redactor.of_this_machine()
    lines = redact.document(environment())
    limits = redact.document(what_works())
    if as_json:
        document = {"schema": "hfmemdebug.env.v1", "environment": lines, "limits": limits}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    # The first that works is what `--backend auto` takes.
    tried = {f"Limits by {name}": "work" if why is None else f"no: {why}" for name, why in limits.items()}
    print(f"\n{INTRO}\n\n{format_environment({**lines, **tried})}")
