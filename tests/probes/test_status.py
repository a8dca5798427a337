from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hfmemdebug.probes.status import Status, StatusReader, parse_status

# CentOS 7: one figure for RSS, nothing that splits it.
LINUX_3_10 = b"""Name:\tpython
State:\tS (sleeping)
Tgid:\t4021
Pid:\t4021
PPid:\t3990
TracerPid:\t0
Uid:\t1000\t1000\t1000\t1000
Gid:\t1000\t1000\t1000\t1000
FDSize:\t256
Groups:\t1000
VmPeak:\t  512364 kB
VmSize:\t  498120 kB
VmLck:\t       0 kB
VmPin:\t       0 kB
VmHWM:\t  120344 kB
VmRSS:\t  118020 kB
VmData:\t  101112 kB
VmStk:\t     132 kB
VmExe:\t    2780 kB
VmLib:\t   23456 kB
VmPTE:\t     660 kB
VmSwap:\t      12 kB
Threads:\t3
SigQ:\t0/15034
"""

# Ubuntu 16.04: swap is there, the split is not (it came with 4.5).
LINUX_4_4 = b"""Name:\tpython3
State:\tR (running)
Tgid:\t811
Ngid:\t0
Pid:\t811
PPid:\t800
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
FDSize:\t64
Groups:\t
NStgid:\t811
NSpid:\t811
VmPeak:\t   31044 kB
VmSize:\t   31044 kB
VmHWM:\t    9220 kB
VmRSS:\t    9220 kB
VmData:\t    5208 kB
VmPMD:\t      12 kB
VmSwap:\t       0 kB
HugetlbPages:\t       0 kB
Threads:\t1
"""

LINUX_6 = b"""Name:\tVmRSS: 99 kB
Umask:\t0022
State:\tS (sleeping)
Tgid:\t77
VmPeak:\t 2318412 kB
VmSize:\t 2301120 kB
VmLck:\t       0 kB
VmPin:\t       0 kB
VmHWM:\t 1806312 kB
VmRSS:\t 1802640 kB
RssAnon:\t  277504 kB
RssFile:\t 1525132 kB
RssShmem:\t       4 kB
VmData:\t  460112 kB
VmStk:\t     132 kB
VmExe:\t       4 kB
VmLib:\t  160004 kB
VmPTE:\t    4080 kB
VmSwap:\t    2048 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
THP_enabled:\t1
untag_mask:\t0xffffffffffffffff
Threads:\t5
"""

KERNEL_THREAD = b"Name:\tkworker/0:0\nState:\tI (idle)\nTgid:\t8\nPid:\t8\nThreads:\t1\n"


def test_an_old_kernel_does_not_split_the_rss() -> None:
    status = parse_status(LINUX_3_10)
    assert status.rss == 118020 * 1024
    assert status.peak_rss == 120344 * 1024
    assert status.swap == 12 * 1024
    assert status.threads == 3
    assert (status.anon, status.file, status.shmem) == (None, None, None)


def test_zero_is_not_missing() -> None:
    status = parse_status(LINUX_4_4)
    assert status.swap == 0
    assert status.anon is None


def test_a_new_kernel_splits_the_rss_and_names_are_not_read_as_figures() -> None:
    assert parse_status(LINUX_6) == Status(
        rss=1802640 * 1024,
        peak_rss=1806312 * 1024,
        anon=277504 * 1024,
        file=1525132 * 1024,
        shmem=4 * 1024,
        swap=2048 * 1024,
        reserved=460112 * 1024,
        mapped=2301120 * 1024,
        threads=5,
    )


@pytest.mark.parametrize("text", [b"", b"VmRSS:\tmany kB\n", b"VmRSS:\t 5 MB\n"])
def test_what_cannot_be_read_is_none(text: bytes) -> None:
    assert parse_status(text) == Status()


def test_a_kernel_thread_has_threads_alone() -> None:
    assert parse_status(KERNEL_THREAD) == Status(threads=1)


def test_the_reader_sees_pages_that_are_touched() -> None:
    reader = StatusReader()
    before = reader.read().anon
    # Not from malloc, which may hand out pages that are resident already.
    with mmap.mmap(-1, 20 * 1024**2, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as touched:
        touched.write(b"x" * len(touched))
        after = reader.read().anon
        reader.close()
        assert before is not None
        assert after is not None
        assert 0.8 * len(touched) <= after - before < 2.5 * len(touched)


def test_the_reader_says_the_same_as_the_file() -> None:
    reader = StatusReader(os.getpid())
    text = Path("/proc/self/status").read_text()
    reader.close()
    threads = re.search(r"^Threads:\s*(\d+)$", text, re.MULTILINE)
    assert threads is not None
    assert parse_status(text.encode()).threads == int(threads.group(1))


def test_a_process_that_has_ended_is_told() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    reader = StatusReader(child.pid)
    assert reader.read().rss
    child.communicate(b"\n")
    with pytest.raises(ProcessLookupError):
        reader.read()
    reader.close()


def test_no_such_process() -> None:
    with pytest.raises(OSError, match="No such"):
        StatusReader(2**22 + 1)
