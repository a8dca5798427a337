import tempfile
from pathlib import Path

import pytest

from hfmemdebug.probes.mounts import Mount, describe_files, mount_of, parse_mountinfo

# Lines as Linux writes them, of a container with a memory-backed volume and network mounts.
CAPTURE = r"""27 1 254:0 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 master:2 - proc proc rw
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684092k
40 27 0:44 / /data rw,relatime - autofs systemd-1 rw,fd=52,pgrp=1,timeout=0
41 40 0:52 / /data rw,relatime shared:9 - nfs4 server:/export rw,vers=4.2,rsize=1048576
42 27 0:60 / /cache rw,relatime - tmpfs tmpfs rw,size=1048576k
43 27 0:61 / /mnt/my\040disk rw,nosuid,nodev - fuse.sshfs me@host:/dir rw,user_id=0
44 27 8:1 /var/lib/x /cache/model ro,relatime - ext4 /dev/sda1 rw
45 27 0:70 / /huge rw - hugetlbfs none rw
a line that is cut
"""


@pytest.mark.parametrize(
    ("path", "filesystem"),
    [
        ("/home/x.arrow", "overlay"),
        ("/dev/shm/x.arrow", "tmpfs"),
        ("/data/x.arrow", "nfs4"),
        ("/database/x.arrow", "overlay"),
        ("/cache/x.arrow", "tmpfs"),
        ("/cache/model/x.arrow", "ext4"),
        ("/mnt/my disk/x.arrow", "fuse.sshfs"),
        ("/huge/x", "hugetlbfs"),
        ("/", "overlay"),
    ],
)
def test_the_mount_that_holds_a_path(path: str, filesystem: str) -> None:
    mount = mount_of(path, parse_mountinfo(CAPTURE))
    assert mount is not None
    assert mount.filesystem == filesystem


def test_parses_escapes_and_leaves_out_what_is_no_mount() -> None:
    mounts = parse_mountinfo(CAPTURE)
    assert len(mounts) == 9
    assert Mount("/", "/mnt/my disk", "fuse.sshfs", ("rw", "user_id=0")) in mounts
    assert [mount.root for mount in mounts if mount.filesystem == "ext4"] == ["/var/lib/x"]
    assert mount_of("/x", ()) is None


def test_describes_a_real_file_and_one_that_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"12345")
    link = tmp_path / "link"
    link.symlink_to(file)
    found, linked, gone = describe_files([str(file), str(link), str(tmp_path / "gone")])
    assert (found.size_bytes, linked.size_bytes, gone.size_bytes) == (5, 5, 0)
    assert found.path == str(file)
    assert linked.filesystem == found.filesystem


def test_a_proc_file_and_a_link_to_it_are_not_memory_backed(tmp_path: Path) -> None:
    link = tmp_path / "status"
    link.symlink_to("/proc/self/status")
    (described,) = describe_files([str(link)])
    assert (described.filesystem, described.memory_backed) == ("proc", False)


def test_a_file_in_dev_shm_is_memory_backed() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        (described,) = describe_files([file.name])
    assert described.memory_backed
