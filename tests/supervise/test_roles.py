from __future__ import annotations

from hfmemdebug.supervise.roles import Clues, roles_of

TRAIN = ("python", "train.py")


def test_dataloader_workers_are_numbered_by_their_start() -> None:
    main = Clues(10, None, "python", TRAIN, started=1)
    # PIDs wrap around: the later one may have the lower number.
    workers = [
        Clues(9, 10, "pt_data_worker", TRAIN, started=3),
        Clues(11, 10, "pt_data_worker", TRAIN, started=2),
    ]
    assert roles_of([main, *workers]) == {10: "main", 11: "DataLoader worker 0", 9: "DataLoader worker 1"}


def test_map_workers_are_known_by_what_they_write() -> None:
    main = Clues(10, None, "python", TRAIN)
    worker = Clues(11, 10, "python", TRAIN, files=("/data/tmpab12cd_9",), started=1)
    other = Clues(12, 10, "python", TRAIN, files=("/data/tmp.txt",), started=2)
    assert roles_of([main, worker, other]) == {10: "main", 11: "map worker 0", 12: "worker 0"}


def test_helpers_of_multiprocessing_and_of_its_twin() -> None:
    main = Clues(1, None, "python", TRAIN)
    tracker = ("python", "-c", "from multiprocess.resource_tracker import main;main(7)")
    server = ("python", "-c", "from multiprocessing.forkserver import main; main(5, 6)")
    spawned = ("python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=8)")
    roles = roles_of([
        main,
        Clues(2, 1, "python", tracker, started=1),
        Clues(3, 1, "python", server, started=2),
        Clues(4, 3, "python", server, started=3),
        Clues(5, 1, "python", spawned, started=4),
        Clues(6, 1, "torch_shm_manag", ("/lib/torch/bin/torch_shm_manager",), started=5),
    ])  # fmt: skip
    assert list(roles.values()) == [
        "main", "resource tracker", "fork server", "worker 0", "spawned worker 0", "shared memory manager",
    ]  # fmt: skip


def test_ranks_below_their_launcher() -> None:
    launcher = Clues(1, None, "torchrun", ("/usr/bin/python", "/usr/bin/torchrun", "train.py"))
    ranks = [Clues(2 + n, 1, "python", ("python", "-u", "train.py"), rank=n, started=n) for n in range(2)]
    worker = Clues(9, 3, "pt_data_worker", ("python", "-u", "train.py"), rank=1, started=9)
    forked = Clues(8, 3, "python", ("python", "-u", "train.py"), rank=1, started=8)
    assert roles_of([launcher, *ranks, worker, forked]) == {
        1: "launcher", 2: "rank 0", 3: "rank 1", 8: "worker 0", 9: "DataLoader worker 0",
    }  # fmt: skip


def test_other_programs_have_their_names() -> None:
    main = Clues(1, None, "bash", ("bash", "-c", "…"))
    assert (
        roles_of([main, Clues(2, 1, "python3", ("python3", "-u", "/x/train.py"), started=1)])[2]
        == "python train.py"
    )
    assert roles_of([main, Clues(2, 1, "sed", ("/bin/sed", "-n"), started=1)])[2] == "sed"
    assert roles_of([main, Clues(2, 1, "", (), started=1)])[2] == "unknown"


def test_an_interpreter_is_told_by_what_it_runs_and_not_by_its_code() -> None:
    main = Clues(1, None, "bash", ("bash", "-c", "…"))
    runs = {
        ("python", "-c", "import os\ntoken = 'secret'"): "python -c",
        ("python3.12", "-W", "ignore", "-uc", "secret"): "python -c",
        ("python", "-X", "dev", "-m", "package.train", "--token", "secret"): "python -m package.train",
        ("python", "-Impackage", "secret"): "python -m package",
        ("python", "-"): "python -",
        ("python", "-u"): "python",
    }
    for command, role in runs.items():
        assert roles_of([main, Clues(2, 1, "python", command, started=1)])[2] == role


def test_a_name_that_a_process_has_written_over_is_one_short_line() -> None:
    main = Clues(1, None, "bash", ("bash",))
    [_, role] = roles_of([main, Clues(2, 1, "x", ("serve:\n\x1b[31mred " + "x" * 99,), started=1)]).values()
    assert role.isprintable()
    assert len(role) <= 40
