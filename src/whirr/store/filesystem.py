"""Which file system a folder lies on: SQLite's locks cannot be trusted on one that several machines share."""

from __future__ import annotations

import os
import re

from whirr.errors import StoreError

MOUNTINFO = "/proc/self/mountinfo"

NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "9p",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "orangefs",
        "pvfs2",
        "gfs2",
        "ocfs2",
        "coda",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.beegfs",
        "fuse.juicefs",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.rclone",
        "fuse.davfs",
        "fuse.moosefs",
        "fuse.lizardfs",
    ]
)
"""Types of file systems that are reached over a network, or from several machines."""


def refuse_network(folder: str, mountinfo: str = MOUNTINFO) -> None:
    """Make sure that a folder lies on a disk of this machine.

    Args:
        mountinfo: where mounts are listed, in the format of ``/proc/self/mountinfo``.

    Raises:
        StoreError: it lies on a network file system.
    """
    kind = kind_of(os.path.realpath(folder), mountinfo)
    if kind in NETWORK:
        raise StoreError(
            f"{folder} lies on a network file system ({kind}), where a queue in SQLite is not safe",
            hint="set WHIRR_DATABASE_URL to a PostgreSQL database, or WHIRR_DIR to a folder on a local disk",
        )


def kind_of(path: str, mountinfo: str = MOUNTINFO) -> str:
    """The type of the file system at an absolute path without links; ``""`` where mounts are not listed."""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return ""
    longest, kind = -1, ""
    for line in lines:
        # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/sda1 rw       (proc_pid_mountinfo(5))
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 6:
            continue
        point = _unescaped(fields[4])
        # A later mount hides an earlier one at the same place.
        if len(point) >= longest and (path + "/").startswith(point.rstrip("/") + "/"):
            longest, kind = len(point), after.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
