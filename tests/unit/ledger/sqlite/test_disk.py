"""What the machine reports about a ledger's disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from closeout.ledger.sqlite import disk

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /srv rw shared:2 master:3 - xfs /dev/sdb1 rw
24 23 0:40 / /srv/shared rw - nfs4 files:/export rw,vers=4.2
25 22 0:41 / /mnt/two\040words rw - cifs //files/share rw
26 22 0:42 / /over rw - ext4 /dev/sdc1 rw
27 26 0:43 / /over rw - 9p host rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/closeout.db", "ext4"),
        ("/srv/closeout.db", "xfs"),
        ("/srv/shared/closeout.db", "nfs4"),
        ("/srv/shared2/closeout.db", "xfs"),
        ("/mnt/two words/closeout.db", "cifs"),
        ("/over/closeout.db", "9p"),
    ],
)
def test_the_nearest_mount_decides_the_kind_of_file_system(tmp_path: Path, path: str, kind: str) -> None:
    """By whole names, including blanks; of two at one point the later one."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert disk.file_system(Path(path), mounts) == kind


def test_without_a_list_of_mounts_it_is_unknown(tmp_path: Path) -> None:
    """As on macOS."""
    assert disk.file_system(tmp_path / "closeout.db", tmp_path / "none") is None


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    """The file is where the link leads."""
    mounts = tmp_path / "mountinfo"
    (tmp_path / "there").mkdir()
    (tmp_path / "here.db").symlink_to(tmp_path / "there/closeout.db")
    mounts.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path}/there rw - nfs x rw\n")
    assert disk.file_system(tmp_path / "here.db", mounts) == "nfs"


def test_free_space_and_write_permission_are_reported(tmp_path: Path) -> None:
    """The tests' own folder is writable."""
    free = shutil.disk_usage(tmp_path).free
    assert disk.free(tmp_path / "closeout.db") == pytest.approx(free, rel=0.5), "others write there, too"
    assert disk.unwritable(tmp_path / "closeout.db") is None
    assert disk.unwritable(tmp_path / "none/closeout.db") == str(tmp_path / "none")
