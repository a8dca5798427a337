"""Which files the measured program has mapped since a moment, and of whose pages it made private copies."""

from __future__ import annotations

from hfmemdebug.probes.maps import Mapping, copies_by_path, read_mappings
from hfmemdebug.recording.end import CopiedFile

# Of libraries less is copied, when data of theirs are first written; and small files explain no growth.
FLOOR = 1024**2
MOST_FILES = 3


class MappedSince:
    """The process's file mappings, compared with those at the moment when this was made."""

    def __init__(self) -> None:
        mappings = _mappings()
        self._paths = {mapping.path for mapping in mappings}
        self._copied = {path: copies.copied for path, copies in copies_by_path(mappings).items()}

    def new_files(self) -> tuple[str, ...]:
        """Files of data that are mapped now, were not then, and hold pages in memory that matter."""
        mappings = [mapping for mapping in _mappings() if mapping.is_file]
        programs = {mapping.path for mapping in mappings if "x" in mapping.perms}
        resident: dict[str, int] = {}
        for mapping in mappings:
            if mapping.path not in self._paths | programs and not mapping.path.endswith(" (deleted)"):
                resident[mapping.path] = resident.get(mapping.path, 0) + (mapping.memory.rss or 0)
        return tuple(path for path, size in resident.items() if size >= FLOOR)

    def copied(self) -> tuple[CopiedFile, ...]:
        """Returns the files of whose pages the most was copied since."""
        now = copies_by_path(_mappings())
        grown = {path: copies.copied - self._copied.get(path, 0) for path, copies in now.items()}
        return tuple(
            CopiedFile(path, grown[path], now[path].size)
            for path in sorted(grown, key=lambda path: -grown[path])[:MOST_FILES]
            if grown[path] >= FLOOR
        )


def _mappings() -> tuple[Mapping, ...]:
    try:
        return read_mappings()
    except OSError:
        # No smaps here: nothing is known of mappings.
        return ()
