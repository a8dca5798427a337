"""`hfmemdebug help`: the guide's pages, which come with the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

GUIDE = Path(__file__).parent.parent / "guide"


def help(
    topic: Annotated[
        str | None, typer.Argument(metavar="TOPIC", help="A page; without one, all are listed.")
    ] = None,
) -> None:
    """Shows a page of the guide, or lists them all.

    \b
    Examples:
      hfmemdebug help
      hfmemdebug help run
      hfmemdebug help oom
    """
    if topic is None:
        width = max(map(len, topics()))
        print("Pages of the guide, shown by `hfmemdebug help TOPIC`:\n")
        print("\n".join(f"  {name:{width}}  {title}" for name, title in topics().items()))
        return
    page = _page(topic)
    if not sys.stdout.isatty():
        print(page, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(page), width=min(console.width, 100))


def topics() -> dict[str, str]:
    """Lists the pages: the name of each, and its title."""
    return {
        path.stem: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for path in sorted(GUIDE.glob("*.md"))
    }


def _page(topic: str) -> str:
    known = topics()
    if topic.lower() not in known:
        import difflib

        from hfmemdebug.errors import UsageError

        near = difflib.get_close_matches(topic.lower(), known, 1, 0.5)
        hint = f"Did you mean `hfmemdebug help {near[0]}`?" if near else "`hfmemdebug help` lists the pages."
        raise UsageError(f"the guide has no page '{topic}'", next=hint)
    return (GUIDE / f"{topic.lower()}.md").read_text(encoding="utf-8")
