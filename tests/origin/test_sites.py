"""Places that grew, ranked."""

from __future__ import annotations

from hfmemdebug.origin.sites import InUse, rank

MB = 1 << 20
ITEMS, TEXT, TABLE, GIVEN_BACK, LIBRARY = (("train.py", line) for line in range(5))


def test_one_buffer_that_becomes_larger_counts_where_it_is_asked_for() -> None:
    part = {
        ITEMS: InUse(100_000.0, 100.0, False),
        TEXT: InUse(5.0 * MB, 0.0, False),
        TABLE: InUse(800.0, 0.0, False),
        GIVEN_BACK: InUse(5.0 * MB, -3.0, False),
        LIBRARY: InUse(5.0 * MB, 0.0, True),
    }
    parts, lengths = (part, part), (10.0, 10.0)
    assert [place for place, _ in rank(parts, lengths)] == [ITEMS]
    found = rank(parts, lengths, larger_by=MB)
    assert [place for place, _ in found] == [TEXT, ITEMS]
    assert found[0][1] == InUse(0.5 * MB, 0.0, False)
    # As batches of all sizes are.
    smaller = {**part, TEXT: InUse(2.0 * MB, 0.0, False)}
    assert [place for place, _ in rank((part, smaller), lengths, larger_by=MB)] == [ITEMS]
    # Once, and no more since.
    assert [p for p, _ in rank((part, {**part, TEXT: InUse(0.0, 0.0, False)}), lengths, larger_by=MB)] == [
        ITEMS
    ]
