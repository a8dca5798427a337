"""Errors as people and scripts see them: one line, a kind and an exit status."""

from __future__ import annotations

from typing import Any

EXIT_OK = 0
EXIT_LEAK = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_PROGRAM_FAILED = 4
EXIT_UNAVAILABLE = 5
EXIT_INTERNAL = 70
# `limit` and `fit` end as `env` and `timeout` do, since their other statuses are those of a command.
EXIT_OWN_FAILURE = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130
# 128 + SIGPIPE, as for any command whose reader went away.
EXIT_OUTPUT_CLOSED = 141

EXIT_STATUS_OF_KIND = {
    "usage": EXIT_USAGE,
    "input": EXIT_USAGE,
    "network": EXIT_UNAVAILABLE,
    "disk": EXIT_UNAVAILABLE,
    "permission": EXIT_UNAVAILABLE,
    "internal": EXIT_INTERNAL,
}


class HfmemdebugError(Exception):
    """An error that the user can do something about.

    Attributes:
        kind: One of the keys of `EXIT_STATUS_OF_KIND`; it decides the exit status.
        message: One line that says what is wrong.
        next: One line that says what to do about it, or None.
    """

    kind = "internal"

    def __init__(self, message: str, *, next: str | None = None) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.next = " ".join(next.split()) if next else None

    @property
    def exit_status(self) -> int:
        """The status with which the command ends."""
        return EXIT_STATUS_OF_KIND[self.kind]

    def line(self) -> str:
        """The error in one line, with what to do next."""
        return f"{self.message.rstrip('.')}. {self.next}" if self.next else self.message

    def to_dict(self) -> dict[str, Any]:
        """The error document of `--json`."""
        return {
            "schema": "hfmemdebug.error.v1",
            "kind": self.kind,
            "message": self.message,
            "next": self.next,
        }


class UsageError(HfmemdebugError):
    """The command line is wrong."""

    kind = "usage"


class InputError(HfmemdebugError):
    """Something that the command line names is wrong: a dataset, a split, a file, a consumer."""

    kind = "input"


class NetworkError(HfmemdebugError):
    """Something on the network could not be had; trying again may help."""

    kind = "network"


class DiskError(HfmemdebugError):
    """The disk is full or cannot be read or written."""

    kind = "disk"


class AccessError(HfmemdebugError):
    """The operating system or the Hub does not permit it."""

    kind = "permission"


class ProgramFailed(HfmemdebugError):
    """The measured program failed, or was stopped, before there was anything to judge.

    Args:
        message: One line that says what happened.
        status: The exit status.
        next: One line that says what to do about it, or None.
    """

    kind = "input"

    def __init__(self, message: str, status: int, *, next: str | None = None) -> None:
        super().__init__(message, next=next)
        self._status = status

    @property
    def exit_status(self) -> int:
        """The status that the command ends with."""
        return self._status


ERROR_OF_KIND: dict[str, type[HfmemdebugError]] = {
    error.kind: error for error in (UsageError, InputError, NetworkError, DiskError, AccessError)
}


def error_from_dict(document: dict[str, Any]) -> HfmemdebugError:
    """The error that `HfmemdebugError.to_dict` described, in another process."""
    return ERROR_OF_KIND.get(document["kind"], HfmemdebugError)(
        document["message"], next=document.get("next")
    )
