"""An error of the Hub's client libraries as it can be asked about, and words that may be printed."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.data.spec import DatasetSpec

_SECRETS = re.compile(
    r"hf_[A-Za-z0-9_]{4,}|(?<=Bearer )\S+|(?<=://)[^/\s@]+(?=@)|(?<=[?&])[^\s'\"]*(?:sign|token|key)[^\s'\"]*",
    re.IGNORECASE,
)


def scrub(text: str, *, token: str | None = None) -> str:
    """The text without tokens, signatures in addresses and the home folder.

    Args:
        text: What a library said.
        token: A further token to be taken out, as given with `--token`.
    """
    for secret in (token, os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN")):
        if secret:
            text = text.replace(secret, "***")
    return _SECRETS.sub("***", shown_path(text))


def shown_path(path: str | Path) -> str:
    """A path as it may be printed and pasted into a shell: the home folder is ``~``."""
    home = str(Path.home())
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", str(path)) if len(home) > 1 else str(path)


def listed(names: Sequence[str], *, most: int = 20) -> str:
    """Names in a row, the first few of them where there are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True)
class Trouble:
    """An error of the libraries, and what was being loaded.

    Attributes:
        chain: The error and what it came from.
        spec: The dataset as the command line names it.
        repo: Its name on the Hub, or as it was typed.
        found: Whether the Hub is known to have it. Then errors about missing repositories in the chain are
            ones that the libraries handled, as they try several names.
    """

    chain: tuple[BaseException, ...]
    spec: DatasetSpec
    repo: str
    found: bool = False

    @property
    def page(self) -> str:
        """The address of the dataset's page."""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/datasets/{self.repo}"

    @property
    def token_source(self) -> str | None:
        """Where the token came from, or None where there is none."""
        from huggingface_hub import get_token

        if self.spec.token:
            return "of --token"
        if os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
            return "in HF_TOKEN"
        return "saved by `hf auth login`" if get_token() else None

    def has(self, *names: str) -> bool:
        """Whether an error of the chain is of a class of one of these names."""
        return any(c.__name__ in names for error in self.chain for c in type(error).__mro__)

    def says(self, *texts: str) -> bool:
        """Whether an error of the chain says one of these texts."""
        return any(text in str(error) for error in self.chain for text in texts)

    def status(self) -> int | None:
        """The status of the Hub's answer, where the error is about one."""
        for error in self.chain:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if isinstance(status, int):
                return status
            answered = re.search(r"\(error (\d{3})\)", str(error))
            if answered:
                return int(answered[1])
        return None

    def errno(self, *numbers: int) -> bool:
        """Whether an error of the chain has one of these numbers of the operating system."""
        return any(isinstance(e, OSError) and e.errno in numbers for e in self.chain)

    def names_in(self, text: str) -> list[str]:
        """The list of names that follows a text in a message."""
        for error in self.chain:
            _, found, rest = str(error).partition(text)
            match = re.match(r"\s*(\[.*?\])", rest, re.DOTALL) if found else None
            if match:
                return [str(name) for name in ast.literal_eval(match.group(1))]
        return []

    def first_line(self) -> str:
        """Class and first line of the error, as it may be printed."""
        error = self.chain[0]
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = scrub(lines[0].strip(), token=self.spec.token) if lines else "no details"
        return f"{type(error).__name__}: {said[:300]}"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, also where that was hidden with `from None`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
