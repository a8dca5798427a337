"""Every way in which the Hub can refuse becomes one line with what to do next, and the right status."""

import errno
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hub.repos import Fault, Repo, dataset_card, make_repo
from hub.samples import single, translation_info, translations, wmt

import hfmemdebug
from hfmemdebug.data.explain import explain, explained, scrub
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import DiskError, InputError

pytest_plugins = ["hub.fixtures"]

NEWEST = int(version("datasets").split(".")[0]) >= 5
TRAIN = "data/train-00000-of-00001.parquet"
KNOWN = "hf_knowntoken"
OTHER = "hf_otherstoken"
BAD = "hf_badtoken"


def broken(kind: str) -> Callable[[], Repo]:
    def make() -> Repo:
        repo = single(2000)
        repo.files[TRAIN].fault = Fault(kind)
        return repo

    return make


def failing_card() -> Repo:
    repo = single(10)
    repo.files["README.md"].fault = Fault("error")
    return repo


def with_content(content: bytes) -> Callable[[], Repo]:
    return lambda: make_repo({"README.md": "# A dataset\n", TRAIN: content})


def with_card(**declared: Any) -> Callable[[], Repo]:
    def make() -> Repo:
        repo = wmt(configs=("cs-en",))
        splits = {"train": "cs-en/train-*", "validation": "cs-en/validation-*"}
        repo.put("README.md", dataset_card({"cs-en": splits}, infos=[translation_info("cs-en", **declared)]))
        return repo

    return make


@dataclass
class Case:
    """A repository, how it is asked for, and what the line must name: `{at}` is the endpoint, `{repo}` the name."""

    name: str
    repo: Callable[[], Repo] | None
    status: int
    kind: str
    named: tuple[str, ...]
    spec: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


def readable_by_known(**how: bool) -> Callable[[], Repo]:
    return lambda: single(10, readers=frozenset({KNOWN}), **how)


NOT_THERE = ("no dataset '{repo}' on the Hub", "no file or folder of that name", "needs a token")
GATED = ("'{repo}' is gated", "{at}/datasets/{repo}", "HF_TOKEN")
BY_FORCE = ("'{repo}' cannot be read", "download_mode='force_redownload'")
CASES = [
    Case("missing", None, 2, "input", NOT_THERE),
    Case("missing-with-token", None, 2, "input", NOT_THERE, env={"HF_TOKEN": KNOWN}),
    Case("private", readable_by_known(private=True), 2, "input", NOT_THERE, {"token": OTHER}),
    Case("gated-no-token", readable_by_known(gated=True), 5, "permission", GATED),
    Case("gated-no-access", readable_by_known(gated=True), 5, "permission", GATED, env={"HF_TOKEN": OTHER}),
    Case(
        "missing-revision",
        lambda: single(10),
        2,
        "input",
        ("'{repo}' has no revision 'v9'", "{at}/datasets/{repo}/tree/main"),
        {"revision": "v9"},
    ),
    Case(
        "bad-token", lambda: single(10), 5, "permission", ("status 401", "/settings/tokens"), {"token": BAD}
    ),
    Case("missing-config", wmt, 2, "input", ("'fr-en'", "cs-en", "de-en"), {"config": "fr-en"}),
    Case("no-config", wmt, 2, "input", ("Config name is missing", "cs-en", "de-en")),
    Case(
        "missing-split",
        wmt,
        2,
        "input",
        ("'{repo}' cs-en has no split 'test'", "It has: train, validation"),
        {"config": "cs-en", "split": "test"},
    ),
    Case(
        "no-train-split",
        lambda: make_repo({"data/test.parquet": translations(9), "data/validation.parquet": translations(9)}),
        2,
        "input",
        ("'{repo}' has several splits", "--split: validation, test"),
    ),
    Case(
        "bad-slice",
        wmt,
        2,
        "input",
        ("'train[:x]' is not a split or a slice",),
        {"config": "cs-en", "split": "train[:x]"},
    ),
    Case("failing-card", failing_card, 5, "network", ("500", "'{repo}'", "Try again")),
    Case("disabled", lambda: single(10, disabled=True), 5, "permission", ("403", "{at}/datasets/{repo}")),
    Case("cut", broken("cut"), 5, "network", ("'{repo}'", "try again")),
    Case("reset", broken("reset"), 5, "network", ("'{repo}'", "try again")),
    Case("stalled", broken("stall"), 5, "network", ("'{repo}'", "try again")),
    Case("short", broken("short"), 5, "network", ("'{repo}'", "try again")),
    Case("damaged", broken("corrupt"), 2, "input", (*BY_FORCE, "snappy")),
    Case(
        "truncated", with_content(translations(2000)[:9000]), 2, "input", (*BY_FORCE, "Parquet magic bytes")
    ),
    Case(
        "wrong-counts",
        with_card(train=5000),
        2,
        "input",
        ("the rows of '{repo}' are not as many as its README says", "--streaming"),
        {"config": "cs-en"},
    ),
    Case(
        "script",
        lambda: make_repo({"script.py": "raise SystemExit", "README.md": "# A dataset\n"}),
        2,
        "input",
        ("'{repo}'", "script of its own, which is not run", "refs/convert/parquet"),
    ),
    Case("empty", lambda: make_repo({"README.md": "# A dataset\n"}), 2, "input", ("'{repo}'", "data files")),
    Case(
        "no-such-files", wmt, 2, "input", ("'{repo}'", "fr-en/*.parquet"), {"data_files": ["fr-en/*.parquet"]}
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_refusal_is_one_line(case: Case, hub: Any, hub_worker: Any) -> None:
    hub.tokens |= {KNOWN, OTHER}
    name = f"refusals/{case.name}"
    if case.repo is not None:
        hub.repos[name] = case.repo()
    answer = hub_worker.load(name, env=case.env, **case.spec)

    assert "traceback" not in answer
    assert (answer["status"], answer["error"]["kind"]) == (case.status, case.kind)
    assert "\n" not in answer["line"]
    assert answer["noise"] == ""
    assert not [token for token in (KNOWN, OTHER, BAD) if token in json.dumps(answer)]
    if NEWEST:
        for text in case.named:
            assert text.format(at=hub.endpoint, repo=name) in answer["line"]


@pytest.mark.parametrize("name", ["no good", "-dash/x"])
def test_a_name_that_the_hub_cannot_have(name: str, hub_worker: Any) -> None:
    answer = hub_worker.load(name)
    assert answer["status"] == 2
    assert f"'{name}' is no file or folder here and no name" in answer["line"]


def test_a_damaged_download_fails_until_it_is_fetched_by_force_as_the_line_says(
    hub: Any, hub_worker: Any
) -> None:
    repo = hub.repos["repair/damaged"] = single(2000)
    repo.files[TRAIN].fault = Fault("corrupt")
    assert hub_worker.load("repair/damaged")["status"] == 2
    repo.files[TRAIN].fault = None
    answer = hub_worker.load("repair/damaged")
    assert answer["status"] == 2, "it stays in the cache"
    assert f"{TRAIN} of 'repair/damaged'" in answer["line"] or not NEWEST
    assert hub_worker.load("repair/damaged", force_redownload=True)["rows"] == 2000


@pytest.mark.parametrize("kind", ["cut", "reset", "short"])
def test_after_a_broken_connection_the_next_load_succeeds(kind: str, hub: Any, hub_worker: Any) -> None:
    repo = hub.repos[f"repair/{kind}"] = single(2000)
    repo.files[TRAIN].fault = Fault(kind)
    assert hub_worker.load(f"repair/{kind}")["status"] == 5
    repo.files[TRAIN].fault = None
    assert hub_worker.load(f"repair/{kind}")["rows"] == 2000


@pytest.mark.parametrize(("kind", "status"), [("cut", 5), ("reset", 5), ("corrupt", 2)])
def test_a_stream_that_breaks_says_so(kind: str, status: int, hub: Any, hub_worker: Any) -> None:
    repo = hub.repos[f"streams/{kind}"] = single(2000)
    repo.files[TRAIN].fault = Fault(kind)
    answer = hub_worker.load(f"streams/{kind}", streaming=True)
    assert answer["status"] == status


def test_a_login_page_is_told_from_the_hub(hub: Any, hub_worker: Any) -> None:
    hub.portal = True
    try:
        answer = hub_worker.load("behind/portal")
    finally:
        hub.portal = False
    assert (answer["status"], answer["error"]["kind"]) == (5, "network")
    assert f"what answers at {hub.endpoint} is not the Hub" in answer["line"]


def test_a_full_disk_is_found_below_the_library_error() -> None:
    from datasets.builder import DatasetGenerationError

    error = DatasetGenerationError("An error occurred")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    explanation = explain(error, DatasetSpec("user/name"), repo="user/name")
    assert isinstance(explanation, DiskError)
    assert "HF_HOME" in explanation.line()


def test_any_other_error_is_one_line_with_the_class_and_the_words_of_the_deepest_cause() -> None:
    error = ValueError("something failed")
    error.__cause__ = RuntimeError("strange\nand long")
    explanation = explain(error, DatasetSpec("user/name"), repo="user/name")
    assert isinstance(explanation, InputError)
    assert explanation.line() == "'user/name' cannot be read: RuntimeError: strange and long"


def test_what_may_hold_values_of_the_data_is_not_quoted_in_a_recording() -> None:
    error = ValueError("could not convert string to float: 'secret'")
    explanation = explain(error, DatasetSpec("x.csv"), quote=False)
    assert explanation is not None
    assert explanation.line() == "x.csv cannot be read: ValueError"


def test_a_bug_of_ours_stays_a_bug() -> None:
    ours = str(Path(hfmemdebug.__file__).with_name("data") / "hub.py")
    with pytest.raises(ValueError, match="ours"), explained(DatasetSpec("user/name")):
        exec(compile("raise ValueError('ours')", ours, "exec"))
    with pytest.raises(MemoryError), explained(DatasetSpec("user/name")):
        raise MemoryError


def test_nothing_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "unusual-token")
    monkeypatch.setenv("HOME", "/home/somebody")
    text = scrub(
        "hf_abcdefgh unusual-token given-token https://me:pw@proxy/x "
        "https://cdn/a?X-Signature=abc&Key-Pair-Id=K /home/somebody/.cache Bearer abcdef",
        token="given-token",
    )
    assert not re.search(r"hf_|unusual|given-token|me:pw|abc|somebody", text)
    assert scrub("/home/somebody/x /home/somebody2/x") == "~/x /home/somebody2/x"
