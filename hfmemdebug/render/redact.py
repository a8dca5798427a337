"""Takes private text out of reports: places, names and secrets.

Whatever leaves the process in a report goes through one `Redactor`. It errs towards hiding, except for
names that are also plain words (a user called ``data``): those are hidden only where they stand as names.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from hfmemdebug.decode import encode
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import Comparison, Result

HIDDEN = "***"

_TOKENS = re.compile(
    r"""
    \b(?:hf|api_org|hf_oauth|hf_jwt)_[A-Za-z0-9]{16,}            # Hugging Face
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                              # AWS
    | \bAIza[\w-]{35} | \bya29\.[\w-]{20,}                       # Google
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,} | \bglpat-[\w-]{16,}
    | \bsk-[\w-]{20,} | \bxox[abeprs]-[\w-]{10,}                 # OpenAI and the like, Slack
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                          # JSON web tokens
    | \bnpm_[A-Za-z0-9]{30,} | \bpypi-[\w-]{16,} | \bdapi[0-9a-f]{32} | \bGOCSPX-[\w-]{20,} | \bdop_v1_[0-9a-f]{40,}
    | \b[rs]k_(?:live|test)_[A-Za-z0-9]{16,} | \bSG\.[\w-]{16,}\.[\w-]{16,} | \br8_[A-Za-z0-9]{30,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|$)
    """,
    re.VERBOSE | re.DOTALL,
)
_SECRET_NAME = (
    r"[\w.-]*(?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key(?:[_-]?id)?"
    r"|credentials?|signature|cookie)"
)
_HEADER = re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|token)\s+)?[^\s\"',;&]+")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{12,}")
_ASSIGNED = re.compile(
    rf"(?i)(?<![\w.-])(-{{0,2}}{_SECRET_NAME}[\"']?(?:=|\s+=\s+|\s*:\s*(?=[\"']))[\"']?)[^\s\"'&,;]+"
)
_QUERY = re.compile(r"(?i)([?&](?:key|sig|auth)=)[^\s\"'&]+")
_COOKIE = re.compile(r"(?i)\b((?:set-)?cookie\s*:\s*)[^\r\n\"']+")
# After a space a word may as well be prose ("give --token or log in"): it must look like a secret.
_OPTION = re.compile(r"(?i)(--[\w-]*(?:token|secret|password|key)\s+)((?=\S*\d)\S{8,}|\S{20,})")
_UNQUOTED = re.compile(
    rf"(?i)(?<![\w.-])({_SECRET_NAME}\s*:\s+|\bpassw(?:or)?d\s+)((?=\S*\d)(?=\S*[a-z])[^\s\"',;]{{8,}}|[^\s\"',;]{{20,}})"
)
_URL_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+@", re.IGNORECASE)
_ANY_HOME = re.compile(r"(/homes?/|/Users/|\\Users\\{1,2}|%2[Ff](?:home|Users)%2[Ff])[^/\\\s\"':%]+")
_SECRET_VARIABLE = re.compile(r"(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)S?(?:_|$)")
_NO_SECRET_VARIABLE = re.compile(r"(?:PATH|FILE|DIR)$")
_SECRET_OPTION = re.compile(rf"(?i)--?{_SECRET_NAME}|--?[\w-]*key")
_SECRET_KEY = re.compile(rf"(?i){_SECRET_NAME}")

# Accounts and hosts that say nothing of a person, and words that our own reports are made of.
_PLAIN_TEXT = """
    account admin administrator anonymous arena array arrow backend batch bench build builder cache cached
    cause cgroup child collect collector column completed computer config consumer container control count
    daemon data dataset datasets debian debug default desktop detail developer disk docker drop environment
    epoch epochs failed fedora file files finding free glibc group growth guest heap home hour host image
    index input iteration iterations jenkins job jovyan json kernel kernels killed laptop large leak library
    limit line linux list local localhost machine main malloc mapped mark master memory model models module
    name native node nobody none notebook null numpy object objects operator other output page pages pandas
    parquet peak plateau podman pool private probe process profile program project pyarrow python rate read
    reader report result rows root runner sample script second server service shape shard shared size slice
    slices small split stable stack start state step store stream streaming student summary swap system table
    task temp temporary test tester text time token torch train trainer training true false ubuntu unit
    unknown user users value vagrant verdict version view warning work worker workers workspace
"""
_PLAIN_WORDS = frozenset(_PLAIN_TEXT.split())


class Redactor:
    """Replaces private text: call it on a string, or one of its methods on a whole document.

    Args:
        home: The home directory; it becomes ``~``.
        cwd: The working directory; it becomes ``.``.
        user: The user's name.
        host: The host's name, also fully qualified.
        environ: Environment variables; the values of those named like secrets are hidden wherever they occur.
        also_home: Other spellings of the home directory, such as what a symbolic link points to.
        also_cwd: Other spellings of the working directory.
        show_names: Leave the names of private datasets on the Hub as they are.
    """

    def __init__(
        self,
        *,
        home: str | None = None,
        cwd: str | None = None,
        user: str | None = None,
        host: str | None = None,
        environ: Mapping[str, str] | None = None,
        also_home: Iterable[str] = (),
        also_cwd: Iterable[str] = (),
        show_names: bool = False,
    ) -> None:
        self._show_names = show_names
        self._secrets = _any_of(secret_values(environ or {}))
        places = [(path, ".") for path in (cwd, *also_cwd)] + [(path, "~") for path in (home, *also_home)]
        # Where both are the same place `~` wins, since it still says where that is.
        known = {path.rstrip("/"): sign for path, sign in places if path and path.rstrip("/")}
        self._places = [
            (re.compile(rf"(?<![\w.~-]){re.escape(path)}(?![\w-]|\.\w)"), sign)
            for path, sign in sorted(known.items(), key=lambda item: -len(item[0]))
        ]
        hosts = {host, host.split(".")[0]} if host else set()
        # The host first: a name alone after `//` can be told from a folder only as long as it stands there.
        named = [(name, "host") for name in sorted(hosts, key=len, reverse=True)] + [(user, "user")]
        self._names = [pattern for name, substitute in named for pattern in _name_patterns(name, substitute)]

    @classmethod
    def of_this_machine(cls, *, show_names: bool = False) -> Redactor:
        """The redactor for this user, host and working directory."""
        import getpass
        import socket

        home = _or_none(Path.home)
        cwd = _or_none(os.getcwd)
        logical = os.environ.get("PWD")
        return cls(
            home=home,
            cwd=cwd,
            user=_or_none(getpass.getuser),
            host=_or_none(socket.gethostname),
            environ=os.environ,
            also_home=[os.path.realpath(home)] if home else [],
            also_cwd=[logical]
            if logical and cwd and os.path.realpath(logical) == os.path.realpath(cwd)
            else [],
            show_names=show_names,
        )

    def __call__(self, text: str) -> str:
        """The text without what is private."""
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        text = _TOKENS.sub(HIDDEN, text)
        text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
        for pattern in (_HEADER, _BEARER, _COOKIE, _ASSIGNED, _UNQUOTED, _QUERY, _OPTION):
            text = pattern.sub(rf"\1{HIDDEN}", text)
        for place, sign in self._places:
            text = place.sub(sign, text)
        text = _ANY_HOME.sub(r"\1user", text)
        for name, substitute in self._names:
            text = name.sub(substitute, text)
        return text

    def command_line(self, arguments: Sequence[str]) -> str:
        """A command line as one would type it, without the values of options that hold secrets."""
        shown: list[str] = []
        secret_follows = False
        for argument in arguments:
            shown.append(HIDDEN if secret_follows else self(shlex.quote(argument)))
            secret_follows = _SECRET_OPTION.fullmatch(argument) is not None
        return " ".join(shown)

    def document(self, value: Any) -> Any:
        """A JSON-like value or a dataclass with every text in it redacted, a dictionary's keys included."""
        if isinstance(value, str):
            return self(value)
        if is_dataclass(value) and not isinstance(value, type):
            named = ((field.name, getattr(value, field.name)) for field in fields(value))
            return replace(value, **{name: self._under(name, item) for name, item in named})
        if isinstance(value, Mapping):
            return {self.document(key): self._under(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.document(item) for item in value)
        return value

    def _under(self, key: object, value: Any) -> Any:
        return HIDDEN if _holds_secret(key, value) else self.document(value)

    def result(self, result: Result) -> Result:
        """The result as it may be shown."""
        redacted: Result = self._without(arm.loaded for arm in result.arms).document(result)
        return redacted

    def recording(self, recording: Recording) -> Recording:
        """The recording as it may be shown. Of the samples a role alone is text."""
        redactor = self._without([encode(recording.header.loaded)])
        processes = (process for tree in recording.trees for process in tree.processes)
        roles = {role: redactor(role) for role in {process.role for process in processes} if role is not None}
        return replace(
            recording,
            header=redactor.document(recording.header),
            trees=tuple(
                replace(
                    tree, processes=tuple(replace(p, role=roles.get(p.role or "")) for p in tree.processes)
                )
                for tree in recording.trees
            )
            if any(role != shown for role, shown in roles.items())
            else recording.trees,
            end=redactor.document(recording.end),
            limit=redactor.document(recording.limit),
        )

    def comparison(self, compared: Comparison, runs: Iterable[Iterable[Recording]]) -> Comparison:
        """Two runs side by side as they may be shown."""
        redactor = self._without(encode(recording.header.loaded) for run in runs for recording in run)
        return replace(compared, before=redactor(compared.before), after=redactor(compared.after))

    def _without(self, loaded: Iterable[Mapping[str, Any] | None]) -> Redactor:
        """The same redactor, which also hides what was loaded from the Hub and is not known to be public."""
        hidden = {
            str(report.get("name"))
            for report in loaded
            if report and report.get("source") == "Hub" and report.get("private") is not False
        }
        if self._show_names or not hidden:
            return self
        redactor = copy(self)
        redactor._names = [p for name in sorted(hidden) for p in _dataset_patterns(name)] + self._names
        return redactor


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of variables named like secrets, save those that would blot out plain text.

    ``TOKENIZERS_PARALLELISM`` is no secret, ``HF_TOKEN_PATH`` is a place, and a password ``1234`` or
    ``data`` stands in every report by accident.
    """
    return frozenset(
        value
        for name, value in environ.items()
        if _SECRET_VARIABLE.search(name.upper())
        and not _NO_SECRET_VARIABLE.search(name.upper())
        and len(value) >= 4
        and value.lower() not in _PLAIN_WORDS
        and not (value.isdecimal() and len(value) < 8)
        and (len(value) >= 6 or not value.isalpha())
    )


def _holds_secret(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, str) and _SECRET_KEY.fullmatch(key) is not None


def _name_patterns(name: str | None, substitute: str) -> list[tuple[re.Pattern[str], str]]:
    """Where a name is replaced: everywhere as a word, or where it can only be a name."""
    if not name:
        return []
    word = re.escape(name)
    if name.lower() not in _PLAIN_WORDS and len(name) >= 4:
        # In an address that stands in another one, a slash is %2F.
        begins = r"(?:(?<![A-Za-z0-9])|(?<=%2F))"
        return [(re.compile(rf"{begins}{word}(?![A-Za-z0-9])", re.IGNORECASE), substitute)]
    if substitute == "host":
        patterns = [rf"(?<=@){word}(?![\w.-])", rf"(?<=://){word}(?=[:/]|$)"]
    else:
        patterns = [rf"(?<![\w/.-]){word}(?=@[\w-])", rf"(?<=pytest-of-){word}(?![\w-])"]
        if name.lower() not in _PLAIN_WORDS:
            patterns.append(rf"(?<=/){word}(?=/|$|[\s\"':])")
    return [(re.compile(pattern), substitute) for pattern in patterns]


def _dataset_patterns(name: str) -> list[tuple[re.Pattern[str], str]]:
    """Where a dataset's name is hidden: as it is typed, as the caches spell it, and each of its halves."""
    owner, _, repo = name.rpartition("/")
    halves = re.escape(owner), re.escape(repo)
    patterns = [
        (re.compile(rf"{halves[0]}(?:/|___|--){halves[1]}", re.IGNORECASE), "private-dataset")
    ] * bool(owner)
    for half, substitute in ((repo, "private-dataset"), (owner, "private-owner")):
        patterns += _name_patterns(half, substitute)
    return patterns


def _any_of(values: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted(values, key=len, reverse=True)
    return re.compile("|".join(rf"(?<!\w){re.escape(v)}(?!\w)" for v in ordered)) if ordered else None


def _or_none(read: Callable[[], object]) -> str | None:
    try:
        return str(read())
    except (OSError, KeyError, ImportError, RuntimeError):
        return None
