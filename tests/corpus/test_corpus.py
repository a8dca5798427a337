"""The corpus: each program's verdict against its label. The fast selection, and all of it where slow tests run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from corpus.judge import build_datasets, compare, run_program
from corpus.labels import PROGRAMS, WATCHED, Label, read_label, read_labels

LABELS = read_labels()
WATCHED_LABELS = read_labels(WATCHED)


def _parameter(label: Label) -> object:
    marks = [] if label.fast else [pytest.mark.slow]
    if "torch" in label.libraries:
        marks.append(pytest.mark.torch)
    return pytest.param(label, id=label.name, marks=marks)


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    build_datasets(folder)
    return folder


@pytest.mark.parametrize("label", [_parameter(label) for label in (*LABELS, *WATCHED_LABELS)])
def test_verdict(label: Label, datasets: Path, tmp_path: Path) -> None:
    missing = label.missing_libraries()
    assert not missing, f"{label.name} needs {', '.join(missing)}: install it to run the slow corpus"
    outcome = run_program(label, datasets, tmp_path)
    said = outcome.trouble or (outcome.result or {}).get("summary")
    assert outcome.kind == "right", f"{label.why} Truth: {' or '.join(label.verdicts)}. Said: {said}"
    # Which line, what holds it and how fast are counted by run.py; a wrong cause, origin or process misleads.
    assert not outcome.mismatches.keys() & {"cause", "origin", "process"}, outcome.mismatches


def test_there_are_enough_programs_of_both_sorts() -> None:
    truths = [label.truth for label in LABELS]
    assert truths.count("leak") >= 60 and truths.count("no-leak") >= 50
    assert 9 <= sum(label.fast for label in LABELS) <= 12
    watched = [label.truth for label in WATCHED_LABELS]
    assert watched.count("leak") >= 20 and watched.count("no-leak") >= 20
    assert 4 <= sum(label.fast for label in WATCHED_LABELS) <= 6


@pytest.mark.parametrize("label", [*LABELS, *WATCHED_LABELS], ids=lambda label: label.name)
def test_site_is_the_marked_line(label: Label) -> None:
    lines = label.path.read_text(encoding="utf-8").splitlines()
    marked = tuple(
        f"{label.path.name}:{number}" for number, line in enumerate(lines, 1) if line.endswith("# the leak")
    )
    assert (label.sites or ()) == marked


def test_no_program_tells_its_truth_to_what_judges_it() -> None:
    # Names reach the result's sites and holders, never the rules; a verdict in a name would only mislead readers.
    assert not [
        path.stem for path in PROGRAMS.parent.glob("*/*.py") if re.search(r"no_?leak|benign", path.stem)
    ]


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("verdict: maybe\nwhy: x", "verdict"),
        ("verdict: leak\nwhy: x", "cause"),
        ("verdict: leak or no-leak\ncause: native-heap\norigin: user-code\nwhy: x", "both decisions"),
        ("verdict: no-leak\norigin: library\nwhy: x", "origin"),
        ("verdict: no-leak", "why"),
        ("verdict no-leak\nwhy: x", "not a line"),
    ],
)
def test_label_that_cannot_be_right_is_refused(tmp_path: Path, header: str, complaint: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(f'"""\n{header}\n"""\n', encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        read_label(program)


def test_comparison_sees_each_difference() -> None:
    label = read_label(PROGRAMS / "append_small_bytes.py")
    file, line = (label.sites or ("",))[0].split(":")
    right = {
        "cause": "python-objects",
        "origin": "user-code",
        "rate_bytes_per_iteration": 75.0,
        "sites": [{"file": f"somewhere/{file}", "line": int(line)}],
        "holders": [{"path": "module append_small_bytes: list `kept`"}],
        "findings": [],
    }
    assert compare(label, right) == {}
    wrong = {"cause": "native-heap", "origin": "library", "rate_bytes_per_iteration": 750.0}
    assert set(compare(label, {**right, **wrong, "sites": [], "holders": []})) == {
        "cause",
        "origin",
        "rate",
        "site",
        "holder",
    }
