from __future__ import annotations

import pytest

from hfmemdebug.probes.launch import rank_of, read_launch

TORCHRUN = {
    "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "GROUP_RANK": "1", "MASTER_ADDR": "somehost",
    "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "2",
}  # fmt: skip
SRUN = {
    "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0", "SLURM_PROCID": "5", "SLURM_NTASKS": "16", "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_NODEID": "1", "SLURMD_NODENAME": "somehost",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "rank", "world", "node"),
    [
        (TORCHRUN, 3, 4, 1),
        (SRUN, 5, 8, 1),
        # Ray Train and accelerate say it as torchrun does.
        ({"RANK": "1", "WORLD_SIZE": "2", "NODE_RANK": "0"}, 1, 2, 0),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"}, 2, 4, None),
        ({"PMI_RANK": "0", "PMI_SIZE": "4"}, 0, 4, None),
        ({"HOROVOD_RANK": "6", "HOROVOD_SIZE": "8", "HOROVOD_CROSS_RANK": "1"}, 6, 8, 1),
        # torchrun within a step of SLURM: the program's own rank is the nearer one.
        ({**SRUN, **TORCHRUN}, 3, 4, 1),
    ],
)
def test_what_each_launcher_says(environ: dict[str, str], rank: int, world: int, node: int | None) -> None:
    launch = read_launch(environ, boot_id="b")
    assert launch is not None
    assert (launch.rank, launch.world, launch.node) == (rank, world, node)
    assert rank_of(environ) == rank


def test_restarts_are_counted() -> None:
    launch = read_launch(TORCHRUN, boot_id="b")
    assert launch is not None
    assert launch.restart == 2


def test_no_launcher() -> None:
    assert read_launch({}) is None
    assert read_launch({"RANK": "first", "WORLD_SIZE": "2"}) is None
    # A batch script is no rank, although it has the number of one.
    batch = {"SLURM_JOB_ID": "77", "SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_NODEID": "0"}
    assert read_launch(batch) is None
    assert rank_of(batch) is None


def test_the_rank_is_a_number_that_a_launcher_has_given() -> None:
    assert rank_of({"RANK": "first", "OMPI_COMM_WORLD_RANK": "2"}) == 2
    assert rank_of({}) is None


def test_machines_and_runs_are_told_apart_and_not_named() -> None:
    def of(job: str, boot: str) -> tuple[str | None, str | None]:
        launch = read_launch({**SRUN, "SLURM_JOB_ID": job}, boot_id=boot)
        assert launch is not None
        assert "somehost" not in str(launch)
        return launch.place, launch.job

    assert of("77", "one") == of("77", "one")
    assert of("77", "one")[0] != of("77", "two")[0]
    # The same machine in another run has another name, so that reports of two runs cannot be laid side by side.
    assert of("77", "one")[0] != of("78", "one")[0]
    assert of("77", "one")[1] != of("78", "one")[1]
    nameless = read_launch(TORCHRUN, boot_id="b")
    assert nameless is not None
    assert nameless.job is None
