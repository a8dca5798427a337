"""`MemoryCallback` for the Trainer of transformers, which is imported when the name is first used.

from hfmemdebug.integrations.transformers import MemoryCallback

trainer = Trainer(model=model, args=args, train_dataset=dataset, callbacks=[MemoryCallback()])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfmemdebug.integrations.memory_callback import MemoryCallback as MemoryCallback

__all__ = ["MemoryCallback"]


def __getattr__(name: str) -> Any:
    """Imports the callback on first use (PEP 562).

    Raises:
        ImportError: transformers is not installed.
    """
    if name != "MemoryCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from hfmemdebug.integrations.memory_callback import MemoryCallback
    except ModuleNotFoundError as error:
        raise ImportError(
            f"MemoryCallback needs {str(error.name).partition('.')[0]}, which is not installed here"
        ) from error
    return MemoryCallback
