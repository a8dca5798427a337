"""Loading from the Hub: names, splits, storage, the cache, the room on the disk, streams."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hub.client import HubWorker, client_environment
from hub.repos import dataset_card, make_repo
from hub.samples import ROWS, single, translation_info, translations, wmt
from hub.server import LoopbackHub

pytest_plugins = ["hub.fixtures"]

NEWEST = int(version("datasets").split(".")[0]) >= 5
TOKEN = "hf_readertoken"


@pytest.fixture(scope="module")
def wmt19(hub: LoopbackHub) -> None:
    """The dataset of the README's command, under its name of today and its old one."""
    hub.repos["wmt/wmt19"] = wmt(old_names=("wmt19",))


@pytest.fixture(scope="module")
def loaded(wmt19: None, hub_worker: HubWorker) -> dict[str, Any]:
    """The first load of ``wmt19 cs-en``."""
    return hub_worker.load("wmt19", "cs-en")


@pytest.fixture(scope="module")
def offline_worker(
    loaded: dict[str, Any], hub: LoopbackHub, hub_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubWorker]:
    """A process in offline mode, on the cache that the first load filled."""
    environment = client_environment(hub, hub_home, HF_HUB_OFFLINE="1")
    worker = HubWorker(environment, tmp_path_factory.mktemp("offline"))
    yield worker
    assert worker.close()[0] == 0


def test_an_old_name_is_mapped_and_its_train_split_loaded(loaded: dict[str, Any]) -> None:
    report = loaded["report"]
    assert loaded["rows"] == ROWS["train"]
    assert set(loaded["first"]["translation"]) == {"cs", "en"}
    assert (report["source"], report["name"], report["split"]) == ("Hub", "wmt/wmt19", "train")
    assert (report["storage"], report["from_cache"]) == ("memory-mapped", False)
    assert report["record_batches"] >= 1
    assert [Path(file["path"]).suffix for file in report["files"]] == [".arrow"]
    assert report["notes"] == []
    assert loaded["noise"] == ""


def test_all_splits_are_announced_before_the_download(loaded: dict[str, Any]) -> None:
    (line,) = loaded["said"]
    assert re.fullmatch(
        r"preparing 'wmt/wmt19' cs-en: \d+ KB to download and 586 KB to build \(all splits: train, validation\)",
        line,
    )


def test_in_memory_from_the_prepared_cache(
    loaded: dict[str, Any], hub: LoopbackHub, hub_worker: HubWorker
) -> None:
    before = len(hub.requests)
    answer = hub_worker.load("wmt19", "cs-en", in_mem=True)
    assert (answer["report"]["storage"], answer["report"]["from_cache"]) == ("in memory", True)
    assert answer["rows"] == ROWS["train"]
    assert answer["said"] == []
    assert not [request for request in hub.requests[before:] if "GET file" in request]


def test_a_stream_has_no_length(loaded: dict[str, Any], hub_worker: HubWorker) -> None:
    answer = hub_worker.load("wmt19", "cs-en", streaming=True)
    report = answer["report"]
    assert (report["storage"], report["rows"], report["from_cache"]) == ("streaming", None, None)
    assert answer["first"] == loaded["first"]


@pytest.mark.parametrize(
    ("split", "rows"),
    [("validation", 200), ("train[:10%]", 300), ("train[100:150]", 50), ("train[:10]+validation[:5]", 15)],
)
def test_splits_and_slices(split: str, rows: int, loaded: dict[str, Any], hub_worker: HubWorker) -> None:
    answer = hub_worker.load("wmt19", "cs-en", split=split)
    assert (answer["rows"], answer["report"]["split"]) == (rows, split)


def test_a_stream_cannot_be_sliced(loaded: dict[str, Any], hub_worker: HubWorker) -> None:
    answer = hub_worker.load("wmt19", "cs-en", split="train[:10%]", streaming=True)
    assert answer["status"] == 2
    assert "a stream has no slices: --split 'train[:10%]'" in answer["line"]


def test_a_wrong_split_costs_no_download(hub: LoopbackHub, hub_worker: HubWorker) -> None:
    hub.repos["cost/nothing"] = wmt()
    before = len(hub.requests)
    assert hub_worker.load("cost/nothing", "cs-en", split="test")["status"] == 2
    assert not [request for request in hub.requests[before:] if "file" in request]


def test_data_files_choose_among_the_files(wmt19: None, hub_worker: HubWorker) -> None:
    answer = hub_worker.load("wmt19", data_files=["de-en/validation-*"])
    assert answer["rows"] == ROWS["validation"]


def test_a_revision_is_honoured(hub: LoopbackHub, hub_worker: HubWorker) -> None:
    repo = hub.repos["many/versions"] = single(100)
    repo.branches["v1"] = single(40)
    assert hub_worker.load("many/versions", revision="v1")["rows"] == 40
    if NEWEST:
        # Version 2.14 names its prepared folders without the commit and takes the first one again.
        assert hub_worker.load("many/versions")["rows"] == 100


def test_the_parquet_copy_of_a_script_as_its_refusal_says(hub: LoopbackHub, hub_worker: HubWorker) -> None:
    repo = hub.repos["scripted/data"] = make_repo({"data.py": "", "README.md": "# A dataset\n"})
    repo.branches["refs/convert/parquet"] = make_repo({"cs-en/train/0000.parquet": translations(70)})
    answer = hub_worker.load(
        "scripted/data", revision="refs/convert/parquet", data_files=["cs-en/train/*.parquet"]
    )
    assert answer["rows"] == 70


def test_the_only_configuration_is_taken_and_named(hub: LoopbackHub, hub_worker: HubWorker) -> None:
    hub.repos["one/config"] = wmt(configs=("cs-en",))
    notes = hub_worker.load("one/config")["report"]["notes"]
    assert notes == ["the configuration 'cs-en' was taken, as none was named"]


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_token_opens_what_it_may_read(how: str, hub: LoopbackHub, hub_worker: HubWorker) -> None:
    hub.tokens.add(TOKEN)
    hub.repos[f"private/{how}"] = single(30, private=True, readers=frozenset({TOKEN}))
    hub.repos[f"gated/{how}"] = single(30, gated=True, readers=frozenset({TOKEN}))
    given: dict[str, Any] = {"token": TOKEN} if how == "option" else {"env": {"HF_TOKEN": TOKEN}}
    assert hub_worker.load(f"private/{how}", **given)["rows"] == 30
    assert hub_worker.load(f"gated/{how}", **given)["rows"] == 30


@pytest.mark.parametrize("why", ["gated", "bad-token", "portal", "gone"])
def test_a_refusal_with_a_prepared_copy_uses_it_and_says_that_it_is_old(
    why: str, hub: LoopbackHub, hub_worker: HubWorker
) -> None:
    hub.tokens.add(TOKEN)
    name = f"refused/{why}"
    repo = hub.repos[name] = single(30, readers=frozenset({TOKEN}))
    assert hub_worker.load(name)["rows"] == 30
    repo.gated = why == "gated"
    hub.portal = why == "portal"
    if why == "gone":
        del hub.repos[name]
    try:
        answer = hub_worker.load(name, token="hf_wrongtoken" if why == "bad-token" else None)
    finally:
        hub.portal = False
    reason = {"gated": "is gated", "bad-token": "401", "portal": "is not the Hub", "gone": "no dataset"}[why]
    (note,) = answer["report"]["notes"]
    assert re.fullmatch(
        rf".*{reason}.*: the copy of '{name}' that was prepared on \d{{4}}-\d\d-\d\d is used and may be out of date",
        note,
    )
    assert answer["said"] == [note]
    assert (answer["rows"], answer["report"]["from_cache"]) == (30, True)


def test_a_folder_of_the_mapped_name_is_not_taken_for_the_hub(
    hub: LoopbackHub, wmt19: None, tmp_path: Path
) -> None:
    (tmp_path / "wmt" / "wmt19").mkdir(parents=True)
    worker = HubWorker(client_environment(hub, tmp_path / "home"), tmp_path)
    answer = worker.load("wmt19", "cs-en")
    worker.close()
    assert answer["line"] == (
        "the folder ./wmt/wmt19 stands in the way of the Hub's 'wmt/wmt19'. Start from another folder, or name it "
        "as ./wmt/wmt19 where the folder is meant."
    )


@pytest.mark.parametrize(
    ("how", "storage"),
    [({}, "memory-mapped"), ({"in_mem": True}, "in memory"), ({"streaming": True}, "streaming")],
)
def test_offline_an_old_name_is_found_by_the_folder_in_the_cache(
    how: dict[str, bool], storage: str, loaded: dict[str, Any], offline_worker: HubWorker
) -> None:
    answer = offline_worker.load("wmt19", "cs-en", **how)
    report = answer["report"]
    assert answer["first"] == loaded["first"]
    assert (report["name"], report["storage"], report["from_cache"]) == ("wmt/wmt19", storage, True)
    assert report["notes"][0].startswith("offline mode is set: the copy of 'wmt/wmt19' that was prepared on ")


def test_offline_slices_work_as_online(offline_worker: HubWorker) -> None:
    assert offline_worker.load("wmt19", "cs-en", split="train[:10]+validation[:5]")["rows"] == 15


@pytest.mark.parametrize(
    ("dataset", "spec", "status", "named"),
    [
        ("wmt19", {"config": "fr-en"}, 2, ("'wmt19' fr-en is not in the cache", "The cache has: cs-en.")),
        (
            "wmt19",
            {"config": "cs-en", "revision": "v2"},
            2,
            ("at revision 'v2' is not in the cache", "cs-en."),
        ),
        ("wmt19", {"config": "cs-en", "split": "test"}, 2, ("no split 'test'", "It has: train, validation.")),
        ("never/seen", {}, 5, ("offline mode is set and 'never/seen' is not in the cache", "HF_HUB_OFFLINE")),
    ],
)
def test_offline_what_is_not_in_the_cache(
    dataset: str, spec: dict[str, str], status: int, named: tuple[str, ...], offline_worker: HubWorker
) -> None:
    answer = offline_worker.load(dataset, **spec)
    assert answer["status"] == status
    assert [text for text in named if text not in answer["line"]] == []


def test_without_a_network(loaded: dict[str, Any], hub_home: Path, tmp_path: Path) -> None:
    with LoopbackHub() as closed:
        environment = client_environment(closed, hub_home)
    worker = HubWorker(environment, tmp_path)
    cached, other, never = (
        worker.load("wmt19", "cs-en"),
        worker.load("wmt19", "fr-en"),
        worker.load("never/seen"),
    )
    worker.close()
    assert cached["rows"] == ROWS["train"]
    assert re.match(
        f"the connection to {closed.endpoint} failed for 'wmt19' .*: the copy of 'wmt/wmt19' that was prepared on",
        cached["report"]["notes"][0],
    )
    for answer in (other, never):
        assert answer["status"] == 5
        assert "Check the network and the proxy settings" in answer["line"]
    assert other["line"].endswith("The cache has: cs-en.")


def test_a_file_in_place_of_the_cache(hub: LoopbackHub, wmt19: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    worker = HubWorker(client_environment(hub, tmp_path / "file"), tmp_path)
    answer = worker.load("wmt19", "cs-en")
    worker.close()
    assert answer["status"] == 2
    assert f"Not a directory: '{tmp_path}/file" in answer["line"] or not NEWEST


def test_a_stream_that_is_left_early_leaves_no_noise_at_exit(
    hub: LoopbackHub, wmt19: None, tmp_path: Path
) -> None:
    worker = HubWorker(client_environment(hub, tmp_path / "home"), tmp_path, stderr=subprocess.PIPE)
    answer = worker.load("wmt19", "cs-en", streaming=True)
    assert "report" in answer
    assert worker.close() == (0, "")


SPLITS = {"train": "cs-en/train-*", "validation": "cs-en/validation-*"}


def declared(hub: LoopbackHub, name: str, dataset_size: int) -> None:
    """A small dataset whose card says that it is large."""
    repo = hub.repos[name] = wmt(configs=("cs-en",))
    info = translation_info("cs-en", dataset_size=dataset_size)
    repo.put("README.md", dataset_card({"cs-en": SPLITS}, infos=[info]))


def test_fifty_gigabytes_need_the_users_word(hub: LoopbackHub, hub_worker: HubWorker) -> None:
    declared(hub, "quite/large", 60 * 1024**3)
    before = len(hub.requests)
    answer = hub_worker.load("quite/large", "cs-en")
    assert (answer["status"], answer["error"]["kind"]) == (2, "input")
    assert re.match(
        r"'quite/large' cs-en is large: \d+ KB to download and 60\.0 GB to build\.", answer["line"]
    )
    assert "--yes" in answer["line"]
    assert not [request for request in hub.requests[before:] if "file" in request]
    assert hub_worker.load("quite/large", "cs-en", streaming=True)["first"]
    assert hub_worker.load("quite/large", "cs-en", yes=True)["rows"] == ROWS["train"]


def test_prepared_datasets_are_not_measured_again(hub: LoopbackHub, hub_worker: HubWorker) -> None:
    declared(hub, "grown/large", 1000)
    assert hub_worker.load("grown/large", "cs-en")["report"]["from_cache"] is False
    answer = hub_worker.load("grown/large", "cs-en")
    assert (answer["report"]["from_cache"], answer["said"]) == (True, [])
