"""README and guide against `--help`: whatever they name exists, and whatever exists is named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hfmemdebug.cli import app
from hfmemdebug.cli.help import GUIDE, topics

README = Path(__file__).parent.parent / "README.md"
DOCUMENTS = [README, *sorted(GUIDE.glob("*.md"))]
COMMANDS: dict[str, Any] = {
    name: typer.main.get_command(app.application(name)).commands[name]  # type: ignore[attr-defined]
    for name in app.COMMANDS
}
# Pages that hold options which several commands share.
SHARED = ("options", "data")
# What follows the options of these is the command line of another program.
RUNNERS = ("run", "limit", "fit")
# Options of other programs that are named.
FOREIGN = {"--nproc-per-node", "--scope", "--user"}
MOST_BYTES_OF_README = 9_000
END_OF_COMMAND = {"|", "||", "&&", ">", ">>", ";", "[…]"}


def options_of(command: str) -> dict[str, bool]:
    """Every option of a command, and whether a value follows it."""
    return {
        name: not parameter.is_flag
        for parameter in COMMANDS[command].params
        if parameter.param_type_name == "option"
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help": False, "-h": False}


def code_of(text: str) -> Iterator[str]:
    """The lines of code blocks, and what stands between backticks."""
    parts = re.split(r"^ *```.*$", text, flags=re.MULTILINE)
    for number, part in enumerate(parts):
        yield from part.splitlines() if number % 2 else re.findall(r"`([^`\n]+)`", part)


def calls_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every call of a command: its name, and the words behind it."""
    for code in code_of(text):
        found = re.search(r"\bhfmemdebug ([a-z]+)(?: (.*))?$", code)
        if found:
            words = shlex.split((found[2] or "").replace("'", '"'), comments=True, posix=False)
            end = next((at for at, word in enumerate(words) if word in END_OF_COMMAND), len(words))
            yield found[1], words[:end]


def unknown_options(command: str, words: list[str]) -> list[str]:
    """The options of a call that its command does not have."""
    known = options_of(command)
    unknown = []
    waiting = iter(words)
    for word in waiting:
        if word in ("--", "-m"):
            break
        if word.startswith("-") and word != "-":
            if word not in known:
                unknown.append(word)
            elif known[word]:
                next(waiting, None)
        elif command in RUNNERS:
            break
    return unknown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_and_options_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for command, words in calls_in(text):
        assert command in COMMANDS
        assert unknown_options(command, words) == []
        if command == "help":
            assert set(words) <= {*topics(), "TOPIC"}
    every = set().union(*map(options_of, COMMANDS), {"--version"})
    named = {name for code in code_of(text) for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)}
    # A program that is run has options of its own.
    assert named - every <= FOREIGN


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_stands_in_the_guide(command: str) -> None:
    if command == "help":
        assert "hfmemdebug help" in README.read_text(encoding="utf-8")
        return
    text = "".join((GUIDE / f"{page}.md").read_text(encoding="utf-8") for page in (command, *SHARED))
    missing = [name for name in options_of(command) if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)]
    assert missing == []


def test_what_is_wrong_would_be_found() -> None:
    calls = list(
        calls_in("`hfmemdebug run --tracy train.py --epochs 3` and\n```\n$ hfmemdebug nonsense | cat\n```")
    )
    assert calls == [("run", ["--tracy", "train.py", "--epochs", "3"]), ("nonsense", [])]
    assert unknown_options(*calls[0]) == ["--tracy"]
    assert unknown_options("run", ["--limit", "8G", "-m", "train", "--tracy"]) == []


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len(README.read_bytes()) <= MOST_BYTES_OF_README
