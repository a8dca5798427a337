"""Every way in which the Hub can refuse becomes one line with what to do next, and the right status."""

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

from hub.repos import Fault, Repo, damaged, dataset_card, make_repo
from hub.samples import single, translation_info, translations, wmt

import hfmemdebug
from hfmemdebug.data.hub_errors import explain, hub_errors_as_lines
from hfmemdebug.data.hub_trouble import scrub, shown_path
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
    """A repository, how it is asked for, and the line: `{at}` is the endpoint, `{repo}` the name."""

    name: str
    repo: Callable[[], Repo] | None
    status: int
    kind: str
    line: str
    spec: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


CASES = [
    Case(
        "missing",
        None,
        2,
        "input",
        "there is no dataset '{repo}' on the Hub, and no file or folder of that name here. Check the spelling "
        "(user/name); if it is private, give a token: `hf auth login`, HF_TOKEN or --token.",
    ),
    Case(
        "missing-with-token",
        None,
        2,
        "input",
        "there is no dataset '{repo}' on the Hub, and no file or folder of that name here. Check the spelling "
        "(user/name); if it is private, the token in HF_TOKEN does not let you see it.",
        env={"HF_TOKEN": KNOWN},
    ),
    Case(
        "private",
        lambda: single(10, private=True, readers=frozenset({KNOWN})),
        2,
        "input",
        "there is no dataset '{repo}' on the Hub, and no file or folder of that name here. Check the spelling "
        "(user/name); if it is private, the token of --token does not let you see it.",
        {"token": OTHER},
    ),
    Case(
        "gated-no-token",
        lambda: single(10, gated=True, readers=frozenset({KNOWN})),
        5,
        "permission",
        "'{repo}' is gated and no token was given. Ask for access at {at}/datasets/{repo}, then give a token: "
        "`hf auth login`, HF_TOKEN or --token.",
    ),
    Case(
        "gated-no-access",
        lambda: single(10, gated=True, readers=frozenset({KNOWN})),
        5,
        "permission",
        "'{repo}' is gated and the token in HF_TOKEN has no access to it. Ask for access at "
        "{at}/datasets/{repo} and try again once it is granted.",
        env={"HF_TOKEN": OTHER},
    ),
    Case(
        "missing-revision",
        lambda: single(10),
        2,
        "input",
        "'{repo}' has no revision 'v9'. Its branches and tags are listed at {at}/datasets/{repo}/tree/main; "
        "without --revision, main is taken.",
        {"revision": "v9"},
    ),
    Case(
        "bad-token",
        lambda: single(10),
        5,
        "permission",
        "the Hub did not accept the token of --token (status 401). Make a new one at "
        "https://huggingface.co/settings/tokens, or unset it: public datasets need none.",
        {"token": BAD},
    ),
    Case(
        "missing-config",
        wmt,
        2,
        "input",
        "'{repo}' has no configuration 'fr-en'. It has: cs-en, de-en.",
        {"config": "fr-en"},
    ),
    Case(
        "no-config",
        wmt,
        2,
        "input",
        "'{repo}' has several configurations and none was named. Name one of them after the dataset: cs-en, de-en.",
    ),
    Case(
        "missing-split",
        wmt,
        2,
        "input",
        "'{repo}' cs-en has no split 'test'. It has: train, validation.",
        {"config": "cs-en", "split": "test"},
    ),
    Case(
        "no-train-split",
        lambda: make_repo({"data/test.parquet": translations(9), "data/validation.parquet": translations(9)}),
        2,
        "input",
        "'{repo}' has no split 'train'. Choose one with --split: validation, test.",
    ),
    Case(
        "bad-slice",
        wmt,
        2,
        "input",
        "'train[:x]' is not a split or a slice of one. Write train, train[:1000], train[10%:20%] or train+test.",
        {"config": "cs-en", "split": "train[:x]"},
    ),
    Case(
        "failing-card",
        failing_card,
        5,
        "network",
        "the Hub failed on '{repo}' (status 500). Try again in a few minutes; https://status.huggingface.co "
        "says whether it is down.",
    ),
    Case(
        "disabled",
        lambda: single(10, disabled=True),
        5,
        "permission",
        "the Hub has disabled '{repo}'. Its page may say why: {at}/datasets/{repo}",
    ),
    Case(
        "cut",
        broken("cut"),
        5,
        "network",
        "the connection broke while '{repo}' was read. Try again: whole files that have arrived are kept.",
    ),
    Case(
        "reset",
        broken("reset"),
        5,
        "network",
        "the connection broke while '{repo}' was read. Try again: whole files that have arrived are kept.",
    ),
    Case(
        "stalled",
        broken("stall"),
        5,
        "network",
        "the Hub stopped answering while '{repo}' was read. Try again: whole files that have arrived are kept. "
        "HF_HUB_DOWNLOAD_TIMEOUT=60 waits longer.",
    ),
    Case(
        "short",
        broken("short"),
        5,
        "network",
        "a file of '{repo}' ended before its full size was there. Try again: what has arrived is kept and the "
        "rest is fetched.",
    ),
    Case(
        "damaged-on-the-way",
        broken("corrupt"),
        5,
        "network",
        "data/train-00000-of-00001.parquet of '{repo}' arrived damaged twice; the damaged downloads were removed "
        "from the cache. Try again over another network or without the proxy.",
    ),
    Case(
        "damaged-at-the-origin",
        with_content(damaged(translations(2000))),
        2,
        "input",
        "the files of '{repo}' cannot be read (OSError: Corrupt snappy compressed data.), and the downloads are "
        "what the Hub has. Tell its authors ({at}/datasets/{repo}/discussions); --data-files chooses other files, "
        "--revision an earlier state.",
    ),
    Case(
        "truncated-at-the-origin",
        with_content(translations(2000)[:9000]),
        2,
        "input",
        "the files of '{repo}' cannot be read (ArrowInvalid: Parquet magic bytes not found in footer. Either the "
        "file is corrupted or this is not a parquet file.), and the downloads are what the Hub has. Tell its "
        "authors ({at}/datasets/{repo}/discussions); --data-files chooses other files, --revision an earlier state.",
    ),
    Case(
        "wrong-counts",
        with_card(train=5000),
        2,
        "input",
        "the rows of '{repo}' are not as many as its README says (train: 3,000 in the files, 5,000 in the README). "
        "Read it with --streaming, or name the files (--data-files 'PATH/*.parquet'): both skip the comparison.",
        {"config": "cs-en"},
    ),
    Case(
        "script",
        lambda: make_repo({"script.py": "", "README.md": "# A dataset\n"}),
        2,
        "input",
        "'{repo}' is built by a Python script of its own, which is not run. The Hub's Parquet copy of it may "
        "serve: --revision refs/convert/parquet --data-files 'CONFIG/train/*.parquet'",
    ),
    Case(
        "empty",
        lambda: make_repo({"README.md": "# A dataset\n"}),
        2,
        "input",
        "'{repo}' holds no files that can be read as a dataset. Its files are listed at "
        "{at}/datasets/{repo}/tree/main; --data-files chooses among them.",
    ),
    Case(
        "no-such-files",
        wmt,
        2,
        "input",
        "no file of '{repo}' matches --data-files fr-en/*.parquet. Its files are listed at "
        "{at}/datasets/{repo}/tree/main",
        {"data_files": ["fr-en/*.parquet"]},
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
        assert answer["line"] == case.line.format(at=hub.endpoint, repo=name)


@pytest.mark.parametrize("name", ["a/b/c", "no good", "-dash/x"])
def test_a_name_that_the_hub_cannot_have(name: str, hub_worker: Any) -> None:
    answer = hub_worker.load(name)
    assert answer["status"] == 2
    assert answer["line"] == (
        f"'{name}' is no file or folder here and no name that a dataset on the Hub can have. "
        "Names on the Hub read user/name."
    )


def test_a_damaged_download_is_repaired(hub: Any, hub_worker: Any) -> None:
    repo = hub.repos["repair/once"] = single(2000)
    repo.files[TRAIN].fault = Fault("corrupt", times=1)
    answer = hub_worker.load("repair/once")
    assert answer["rows"] == 2000
    assert f"damaged on the way: {TRAIN}; downloading again" in answer["said"]


def test_after_a_damaged_download_the_next_load_succeeds(hub: Any, hub_worker: Any) -> None:
    repo = hub.repos["repair/twice"] = single(2000)
    repo.files[TRAIN].fault = Fault("corrupt", times=2)
    assert hub_worker.load("repair/twice")["status"] == 5
    assert hub_worker.load("repair/twice")["rows"] == 2000


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
    assert answer["noise"] == ""


def test_a_login_page_is_told_from_the_hub(hub: Any, hub_worker: Any) -> None:
    hub.portal = True
    try:
        answer = hub_worker.load("behind/portal")
    finally:
        hub.portal = False
    assert (answer["status"], answer["error"]["kind"]) == (5, "network")
    assert answer["line"] == (
        f"what answers at {hub.endpoint} is not the Hub: a login page of this network, or a proxy. Open any page "
        "in a browser and log in to the network, or check HF_ENDPOINT and the proxy settings."
    )


def caused(error: Exception, cause: Exception) -> Exception:
    """The error as it is after `raise error from cause`."""
    error.__cause__ = cause
    return error


def test_a_full_disk_is_found_below_the_library_error() -> None:
    from datasets.builder import DatasetGenerationError

    error = caused(DatasetGenerationError("An error occurred"), OSError(28, "No space left on device"))
    explained = explain(error, DatasetSpec("user/name"), repo="user/name")
    assert isinstance(explained, DiskError)
    assert explained.line() == (
        "the disk is full: 'user/name' could not be downloaded and built in the datasets cache. Free some space, "
        "set HF_HOME to a folder on a larger disk, or read it with --streaming."
    )


def test_what_nobody_foresaw_is_one_line_with_its_class() -> None:
    with pytest.raises(InputError) as caught, hub_errors_as_lines(DatasetSpec("user/name")):
        raise RuntimeError("strange\nand long")
    assert caught.value.line() == (
        "'user/name' could not be loaded (RuntimeError: strange). `datasets.load_dataset` should fail on it in "
        "the same way."
    )


def test_a_bug_of_ours_stays_a_bug() -> None:
    ours = str(Path(hfmemdebug.__file__).with_name("data") / "hub.py")
    with pytest.raises(ValueError, match="ours"), hub_errors_as_lines(DatasetSpec("user/name")):
        exec(compile("raise ValueError('ours')", ours, "exec"))
    with pytest.raises(AttributeError), hub_errors_as_lines(DatasetSpec("user/name")):
        None.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_nothing_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "unusual-token")
    monkeypatch.setenv("HOME", "/home/somebody")
    text = scrub(
        "hf_abcdefgh unusual-token given-token https://me:pw@proxy/x "
        "https://cdn/a?X-Signature=abc&Key-Pair-Id=K /home/somebody/.cache Bearer abcdef",
        token="given-token",
    )
    assert not re.search(r"hf_|unusual|given-token|me:pw|abc|somebody", text)
    assert shown_path("/home/somebody/x") == "~/x"
    assert shown_path("/home/somebody2/x") == "/home/somebody2/x"
