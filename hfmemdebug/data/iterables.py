"""Any iterable of the user's as a dataset: a torch Dataset or DataLoader, a `tf.data.Dataset`, a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hfmemdebug.data.spec import STREAMING, DatasetSpec, Reading
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.recording.header import LoadReport
from hfmemdebug.user_code import import_target


class Items:
    """An iterable whose items are handed on as they are, each as a slice.

    What the function returns is made once and iterated anew in each epoch, as a training loop does it. An
    iterator (a generator) can be read once only, so that the function is called again for each epoch.

    Args:
        function: Returns the iterable.

    Raises:
        InputError: It returns something else.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        made = function()
        by_index = hasattr(made, "__getitem__") and hasattr(made, "__len__")
        if not hasattr(made, "__iter__") and not by_index:
            raise InputError(
                f"{function.__name__}() returned {type(made).__name__}, which cannot be iterated",
                next="Return a DataLoader, a Dataset, a list or a generator.",
            )
        self.kind = f"{type(made).__module__.partition('.')[0]} {type(made).__name__}"
        self._made = None if hasattr(made, "__next__") else made

    def iter(self, batch_size: int) -> Iterator[Any]:
        """Returns the items of one epoch, one at a time.

        Args:
            batch_size: Always 1: an item is a slice, whatever is in it.
        """
        made = self._made if self._made is not None else self._function()
        if hasattr(made, "__iter__"):
            return iter(made)
        # A map-style Dataset: not all of them raise IndexError at their end.
        return (made[index] for index in range(len(made)))


def load_iterable(spec: DatasetSpec, reading: Reading) -> tuple[Items, LoadReport]:
    """Imports the user's function and calls it. Its own errors are passed on as they are.

    Args:
        spec: The dataset: ``FILE.py:FUNC`` or ``MODULE:FUNC``.
        reading: A stream; into memory is refused, since only the iterable itself knows where its data are.

    Raises:
        UsageError: An option means nothing for an iterable.
        InputError: There is no such file, module or function, or it returns nothing that can be iterated.
    """
    refuse_options(spec, "an iterable of yours")
    if spec.dtype is not None or spec.shape is not None:
        raise UsageError("--dtype and --shape are for files of raw numbers", next="Leave them out.")
    if reading.keep_in_memory or not reading.streaming:
        raise UsageError(
            "--in-mem means nothing for an iterable of yours, which is read as a stream", next="Leave it out."
        )
    function, _ = import_target(spec.dataset, option="")
    items = Items(function)
    return items, LoadReport(items.kind, spec.dataset, storage=STREAMING, step=1)


def refuse_options(spec: DatasetSpec, what: str) -> None:
    """Refuses the options that choose among what only `datasets` knows.

    Raises:
        UsageError: One of them was given.
    """
    given = {
        "a configuration": spec.config,
        "--split": spec.split,
        "--revision": spec.revision,
        "--data-files": spec.data_files,
        "--format": spec.format,
    }
    for option, value in given.items():
        if value:
            raise UsageError(f"{option} means nothing for {what}", next="Leave it out.")
