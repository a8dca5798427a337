from __future__ import annotations

from dataclasses import replace
from typing import Any

from hfmemdebug.analysis.rank import Rank
from hfmemdebug.analysis.ranks import merge, ranks_within, with_ranks
from hfmemdebug.recording.end import End, ProcessUsage
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, Header, Launch, Workload
from hfmemdebug.recording.sample import ProcessSample, TreeSample
from hfmemdebug.result import ArmSummary, Finding, Result

MB = 1 << 20


def judged(
    number: int,
    verdict: str = "no-leak",
    *,
    rate: float = 0.0,
    error: float = 1.0,
    peak: int = 300 * MB,
    outcome: str = "completed",
    detail: str | None = None,
    status: int | None = None,
    began: float | None = 100.0,
    seconds: float = 20.0,
    version: str = "5.2.0",
    **launch: Any,
) -> Rank:
    """A rank as it comes out of judging: what merging looks at and nothing else."""
    leaks = (
        (
            Finding(
                "python-objects",
                "leak",
                round(rate * 30),
                rate,
                (rate - error, rate + error),
                "growing",
                False,
            ),
        )
        if rate
        else ()
    )
    summary = {"leak": "Leak: it grows.", "no-leak": "No leak.", "inconclusive": "Inconclusive: it shrank."}[
        verdict
    ]
    result = Result(
        "run", summary, verdict, "python-objects" if rate else None, None, "1000 rows", rate, rate / 1000, rate, 32.0,
        findings=leaks,
        arms=(
            ArmSummary(
                "program", "program", False, 30, 30_000, outcome, peak, peak, f"ranks/rank-{number}.jsonl",
                outcome_detail=detail, exit_status=status,
            ),
        ),
        processes=({"pid": 7, "role": "main", "pss_bytes": peak},),
        environment={"datasets version": version, "Platform": f"machine {number}"},
    )  # fmt: skip
    return Rank(Launch(number, began=began, **launch), result, seconds)


def test_the_rank_that_leaks_comes_first_and_its_node_with_it() -> None:
    ranks = [judged(n, node=n // 2, world=4) for n in (3, 1, 0)]
    result = merge([*ranks, judged(2, "leak", rate=31_000.0, node=1, world=4)])
    assert result.verdict == "leak"
    assert result.summary == (
        "Leak in 1 of 4 ranks: rank 2 (node 1) keeps 30.3 KB per 1000 rows; the other 3 ranks keep nothing."
    )
    assert [entry["rank"] for entry in result.ranks or ()] == [2, 0, 1, 3]
    of_two = merge([judged(0, world=2), judged(1, "leak", rate=31_000.0, world=2)])
    assert of_two.summary.endswith("per 1000 rows; the other rank keeps nothing.")
    assert [(place["node"], place["leaking"]) for place in result.nodes or ()] == [(0, []), (1, [2])]
    assert [arm.name for arm in result.arms] == ["rank 2", "rank 0", "rank 1", "rank 3"]
    assert {p["role"] for p in result.processes or ()} == {f"rank {n}: main" for n in range(4)}
    assert result.rate_bytes_per_iteration == 31_000.0
    assert result.advice[0].startswith("Look at what rank 2 does")


def test_all_ranks_leak_alike() -> None:
    result = merge([judged(n, "leak", rate=1000.0 + n, node=0) for n in range(8)])
    assert result.summary == (
        "Leak in all 8 ranks: 1000 B to 1007 B per 1000 rows are never freed in each, most in rank 7."
    )
    [finding] = result.findings
    assert (finding.growth_bytes, finding.arm) == (240_840, "rank 7")
    assert finding.detail == "in rank 0 to 7"


def test_one_rank_among_a_thousand_must_be_clearer_than_one_of_two() -> None:
    # Its interval of two standard errors does not hold 0; of a thousand such, 23 would do so by chance.
    barely = judged(1, "leak", rate=1000.0, error=700.0)
    few, many = ([judged(0), barely], [*(judged(n) for n in range(1000) if n != 1), barely])
    assert merge(few).verdict == "leak"
    result = merge(many)
    assert result.verdict == "inconclusive"
    assert "999 ranks keep nothing, but rank 1: grew by 1000 B per 1000 rows" in result.summary
    assert (result.ranks or ())[0]["verdict"] == "inconclusive"
    assert merge([*many[:-1], judged(1, "leak", rate=1000.0, error=300.0)]).verdict == "leak"
    # Where many ranks say the same they confirm each other.
    half = [judged(n, "leak", rate=1000.0, error=700.0) for n in range(500)]
    assert merge([*half, *(judged(n) for n in range(500, 1000))]).verdict == "leak"


def test_a_rank_that_is_open_or_missing_leaves_the_whole_open() -> None:
    result = merge([judged(0), judged(1, "inconclusive"), judged(2)])
    assert (result.verdict, result.rate_bytes_per_iteration) == ("inconclusive", None)
    assert result.summary == "Inconclusive: 2 ranks keep nothing, but rank 1: it shrank."
    result = merge([judged(n, world=8) for n in (0, 1, 5)])
    assert result.summary == "Inconclusive: 3 ranks keep nothing, but rank 2 to 4 and 6, 7 left no recording."
    assert "rank 2 to 4 and 6, 7 left no recording" in result.warnings


def test_a_leak_beside_ranks_that_left_no_recording_does_not_pass_them_over() -> None:
    result = merge([judged(1, "leak", rate=2000.0, world=2)])
    assert (
        result.summary == "Leak in 1 of 2 ranks: rank 1 keeps 2.0 KB per 1000 rows; rank 0 left no recording."
    )
    both = merge([judged(number, "leak", rate=2000.0, world=4) for number in (0, 1)])
    assert both.summary.startswith("Leak in 2 of 4 ranks (0, 1)")
    assert both.summary.endswith("; rank 2, 3 left no recording.")


def test_who_died_first_is_told_from_those_that_were_ended_for_it() -> None:
    ended: dict[str, Any] = {
        "outcome": "killed",
        "detail": "the program was killed by SIGTERM",
        "status": -15,
    }
    result = merge([
        judged(0, "inconclusive", seconds=11.0, **ended),
        # The clock of its node is ahead.
        judged(
            1, "inconclusive", seconds=12.0, outcome="killed", detail="the program was killed by SIGKILL", status=-9
        ),
        judged(2, "inconclusive", seconds=11.5, **ended),
    ])  # fmt: skip
    assert (
        "Rank 1 was the first to die after 12.0 s (was killed by SIGKILL), and 2 more ended with it."
        in result.summary
    )


def test_machines_are_told_apart_where_the_launcher_does_not_number_them() -> None:
    places = {0: "f3", 1: "f3", 2: "0a", 3: "0a"}
    result = merge([judged(n, place=place) for n, place in places.items()])
    assert [(place["node"], place["ranks"]) for place in result.nodes or ()] == [(0, [0, 1]), (1, [2, 3])]
    assert result.summary.startswith("No leak in any of 4 ranks on 2 nodes: ")


def test_recordings_of_an_earlier_run_are_left_out() -> None:
    result = merge([judged(0, began=500.0), judged(1, began=500.1), judged(2, "leak", rate=9e4, began=100.0)])
    assert result.verdict == "no-leak"
    assert "1 recording of an earlier run in the same folder is left out" in result.warnings
    result = merge([judged(0, job="b"), judged(1, "leak", rate=9e4, job="a", began=99.0)])
    assert [entry["rank"] for entry in result.ranks or ()] == [0]


def test_of_ranks_that_were_started_anew_the_last_start_counts() -> None:
    died = judged(1, "inconclusive", outcome="killed", detail="the program was killed by SIGKILL", status=-9)
    again = [judged(n, began=200.0, restart=1) for n in (0, 1)]
    result = merge([judged(0), died, *again])
    assert (result.verdict, [entry["restart"] for entry in result.ranks or ()]) == ("no-leak", [1, 1])
    assert any(
        "rank 1 was started anew after the program was killed by SIGKILL" in w for w in result.warnings
    )


def test_different_versions_and_uneven_peaks_are_said() -> None:
    result = merge([*(judged(n) for n in range(1, 4)), judged(0, version="4.0.0", peak=900 * MB)])
    assert (
        "the ranks do not run the same datasets version: 4.0.0 in rank 0; 5.2.0 in rank 1 to 3"
        in result.warnings
    )
    assert not any("Platform" in warning for warning in result.warnings)
    assert any(line.startswith("Rank 0 had up to 900 MB that cannot be taken back") for line in result.advice)


def test_a_result_of_ranks_survives_being_written() -> None:
    result = merge([judged(0), judged(1, "leak", rate=1000.0)])
    assert Result.from_dict(result.to_dict()) == result
    assert "ranks" not in replace(result, ranks=None, nodes=None).to_dict()


def tree(looks: int = 60) -> Recording:
    """A launcher with two ranks, of which the second one's worker keeps a string for each row."""
    trees = []
    for look in range(looks):
        blocks, rows = 100_000 + 4000 * look, 1000 * look
        of = {
            "rss": 100 * MB,
            "anon": 80 * MB,
            "file": 20 * MB,
            "shmem": 0,
            "swap": 0,
            "malloc": 30 * MB,
            "modules": 500,
        }
        processes = [
            ProcessSample(look * 0.5, 1, role="launcher", blocks=9000, **of),
            ProcessSample(look * 0.5, 2, ppid=1, role="rank 0", blocks=100_000, rows=rows, **of),
            ProcessSample(look * 0.5, 3, ppid=1, role="rank 1", blocks=100_000, rows=0, **of),
            ProcessSample(look * 0.5, 4, ppid=3, role="worker 0", blocks=blocks, rows=rows, **of),
        ]
        whole = TreeSample(
            look * 0.5,
            anon=320 * MB,
            children=3,
            rows=2 * rows,
            pss=400 * MB,
            rss=400 * MB,
            processes=tuple(processes),
        )
        trees.append(whole)
    end = End("completed", processes=tuple(ProcessUsage(n, role="x", pss_bytes=n) for n in (1, 2, 3, 4)))
    header = Header("run", ArmInfo("program", "program", consumer=False), Workload())
    return Recording(header, end=end, trees=tuple(trees))


def test_a_launchers_tree_is_taken_apart_into_its_ranks() -> None:
    first, second = ranks_within(tree())
    assert first.header.launch is not None
    assert first.header.launch.rank == 0
    assert [(s.pid, s.ppid) for s in second.trees[0].processes] == [(3, None), (4, 3)]
    assert second.trees[-1].rows == 59_000
    assert second.trees[-1].anon == 160 * MB
    assert [p.pid for p in second.end.processes] == [3, 4]


def test_what_a_rank_gains_between_two_readings_of_its_pss_is_its_own() -> None:
    whole = tree()
    growing = []
    for look, at in enumerate(whole.trees):
        # Of eighty megabytes sixty are its own; that was read at every twentieth look.
        grown = {"anon": (80 + look) * MB, "pss_anon": (60 + look // 20 * 20) * MB}
        processes = tuple(replace(s, **grown) if s.pid == 3 else s for s in at.processes)
        growing.append(replace(at, processes=processes))
    _, second = ranks_within(replace(whole, trees=growing))
    # Its worker has eighty megabytes of its own.
    assert [s.anon for s in second.trees] == [(60 + 80 + look) * MB for look in range(60)]


def test_a_leak_in_one_rank_of_a_tree_is_that_ranks() -> None:
    from hfmemdebug.analysis.program_verdict import judge_program

    result = with_ranks(judge_program(tree()), tree())
    assert result.verdict == "leak"
    assert result.summary.startswith("Leak in 1 of 2 ranks: rank 1 keeps ")
    assert "in worker 0 (PID 4)" in result.summary
    assert [arm.name for arm in result.arms] == ["program"]


def test_a_program_without_a_launcher_has_no_ranks() -> None:
    whole = tree()
    alone = [
        replace(at, processes=tuple(replace(s, role="main") for s in at.processes)) for at in whole.trees
    ]
    assert ranks_within(replace(whole, trees=alone)) == []
