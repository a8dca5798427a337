"""What the Hub's client libraries raise, as one line with what to do next.

The libraries wrap one another: the reason is often only in the chain of causes, its class is httpx's on
one version and requests' on the other, and `datasets` re-raises some errors with nothing left of them but
their text. So each rule looks at the whole chain, at class names and at the few texts that are stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hfmemdebug.data import hub_rules_access as access
from hfmemdebug.data import hub_rules_data as data
from hfmemdebug.data.hub_trouble import Trouble, causes
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import HfmemdebugError, InputError

_OUR_CODE = str(Path(__file__).parents[1])


def explain(error: Exception, spec: DatasetSpec, *, repo: str | None = None) -> HfmemdebugError | None:
    """The error of a client library as an error for people.

    Args:
        error: What `datasets`, `huggingface_hub` or what they are built on raised.
        spec: The dataset as the command line names it.
        repo: Its name on the Hub, where that is known to have it.

    Returns:
        The error to raise instead; None for what looks like a bug of our own.
    """
    trouble = Trouble(tuple(causes(error)), spec, repo or spec.dataset, found=repo is not None)
    for rule in _RULES:
        explained = rule(trouble)
        if explained is not None:
            return explained
    return None if _ours(error) else _unknown(trouble)


def is_unreadable(error: Exception) -> bool:
    """Whether the error is about files that arrived but cannot be read."""
    trouble = Trouble(tuple(causes(error)), DatasetSpec(""), "")
    explained = next((rule for rule in _RULES if rule(trouble) is not None), None)
    return explained is data.unreadable and not trouble.says(data.OTHER_COLUMNS)


@contextmanager
def hub_errors_as_lines(spec: DatasetSpec, *, repo: str | None = None) -> Iterator[None]:
    """Turns what the client libraries raise inside the block into errors for people.

    For loading, and for iterating a stream, where the same errors come late.

    Raises:
        InputError: The name, the configuration, the split or the data are wrong.
        NetworkError: The Hub could not be reached, or the connection broke.
        DiskError: The disk is full.
        AccessError: The Hub or the operating system does not permit it.
    """
    try:
        yield
    except HfmemdebugError:
        raise
    except Exception as error:
        explained = explain(error, spec, repo=repo)
        if explained is None:
            raise
        raise explained from error


def _ours(error: Exception) -> bool:
    """Whether the error looks like a bug of this package: raised by its code, or of a kind that only bugs raise."""
    if isinstance(error, (TypeError, AttributeError, NameError, LookupError, AssertionError)):
        return type(error).__module__ == "builtins"
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_code.co_filename.startswith(_OUR_CODE)


def _unknown(t: Trouble) -> HfmemdebugError:
    return InputError(
        f"'{t.repo}' could not be loaded ({t.first_line()})",
        next="`datasets.load_dataset` should fail on it in the same way.",
    )


# The order matters: what is more specific comes first, and what says who is to blame before what merely broke.
_RULES: tuple[Callable[[Trouble], HfmemdebugError | None], ...] = (
    access.offline,
    data.disk,
    access.gated,
    access.revision,
    access.disabled,
    access.bad_name,
    access.missing,
    access.refused,
    access.not_a_hub,
    access.short,
    access.network,
    data.script,
    data.config,
    data.counts,
    data.unreadable,
    data.files,
    data.cache_folder,
)
