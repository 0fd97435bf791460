"""Which file systems a queue in SQLite is refused on, and which SQLite libraries may use a WAL."""

from __future__ import annotations

from pathlib import Path

import pytest

from whirr.errors import StoreError
from whirr.store.filesystem import NETWORK, kind_of, refuse_network
from whirr.store.sqlite import wal_is_safe

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:50 / /home rw - autofs systemd-1 rw
31 27 0:51 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw,vers=4.2
32 31 0:52 / /home/me/fast rw - xfs /dev/nvme0 rw
33 27 0:53 / /mnt/a\040b\134c rw - cifs //server/share rw
34 27 0:54 / /mnt/remote rw - fuse.sshfs me@server: rw
"""


@pytest.fixture
def mountinfo(tmp_path: Path) -> str:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS.lstrip())
    return str(file)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv/x", "ext4"),
        ("/proc/1", "proc"),
        ("/procedures", "ext4"),
        ("/home", "nfs4"),  # the later mount hides the earlier
        ("/home/you", "nfs4"),
        ("/homes", "ext4"),
        ("/home/me/fast", "xfs"),
        ("/home/me/fast/project", "xfs"),
        ("/home/me/faster", "nfs4"),
        ("/mnt/a b\\c/d", "cifs"),
        ("/mnt/remote/runs", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_says_the_kind(mountinfo: str, path: str, kind: str) -> None:
    assert kind_of(path, mountinfo) == kind


def test_a_network_file_system_is_refused_with_a_way_out(mountinfo: str) -> None:
    with pytest.raises(StoreError, match="nfs4") as refused:
        refuse_network("/home/me/project/.whirr/queue", mountinfo)
    assert "WHIRR_DATABASE_URL" in str(refused.value.hint)
    refuse_network("/home/me/fast/.whirr/queue", mountinfo)


def test_a_link_is_followed(mountinfo: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/remote/there")
    with pytest.raises(StoreError, match="sshfs"):
        refuse_network(str(tmp_path / "link" / "queue"), mountinfo)


def test_where_mounts_are_not_listed_nothing_is_refused(tmp_path: Path) -> None:
    refuse_network("/home", str(tmp_path / "none"))
    (tmp_path / "odd").write_text("a line of another kind\n\n")
    refuse_network("/home", str(tmp_path / "odd"))


def test_this_machine_can_be_read() -> None:
    assert kind_of("/proc/self") == "proc"
    assert not NETWORK & {"ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay"}


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_where_its_bug_is_mended(version: tuple[int, ...], safe: bool) -> None:
    assert wal_is_safe(version) is safe
