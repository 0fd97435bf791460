"""The file of a user's tokens."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from whirr.credentials import Credentials, normal
from whirr.errors import FolderError, UsageError


@pytest.fixture
def kept(tmp_path: Path) -> Credentials:
    return Credentials({"XDG_CONFIG_HOME": str(tmp_path)})


def test_a_token_is_found_by_every_address_of_its_server_and_no_other(kept: Credentials) -> None:
    assert kept.token_for("http://box:1") is None
    assert kept.remember("s1", ["http://box:1/whirr", "http://localhost:1/whirr"], "t1")
    assert kept.token_for("HTTP://Box:1/whirr/") == "t1"
    for other in ("http://box:1", "http://box:2/whirr", "https://box:1/whirr", "http://box.evil:1/whirr"):
        assert kept.token_for(other) is None
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700


def test_a_server_keeps_its_token_at_new_addresses(kept: Credentials) -> None:
    assert not kept.remember("s1", ["http://box:1"])
    assert not kept.path.exists()
    kept.remember("s1", ["http://box:1"], "t1")
    assert kept.remember("s1", ["http://box:2"])
    assert kept.token_for("http://box:1") == kept.token_for("http://box:2") == "t1"
    kept.remember("s2", ["http://box:1"], "t2")
    assert (kept.token_for("http://box:1"), kept.token_for("http://box:2")) == ("t2", "t1")


def test_it_is_forgotten_under_all_its_addresses(kept: Credentials) -> None:
    kept.remember("s1", ["http://box:1", "http://box:2"], "t1")
    assert kept.forget("http://box:2")
    assert not kept.forget("http://box:1")
    assert kept.token_for("http://box:1") is None


def test_what_others_can_read_or_is_damaged_is_refused(kept: Credentials) -> None:
    kept.remember("s1", ["http://box:1"], "t1")
    kept.path.chmod(0o644)
    with pytest.raises(UsageError, match="others can read"):
        kept.token_for("http://box:1")
    kept.path.chmod(0o600)
    for text in ("", "{", "[]", '{"servers": 3}', '{"servers": {"s": {"urls": []}}}'):
        kept.path.write_text(text)
        with pytest.raises(UsageError, match="damaged"):
            kept.token_for("http://box:1")


def test_several_may_write_at_once(kept: Credentials) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda number: kept.remember(f"s{number}", [f"http://box:{number + 1}"], f"t{number}"), range(40))
        )
    assert [kept.token_for(f"http://box:{number + 1}") for number in range(40)] == [f"t{one}" for one in range(40)]
    assert sorted(path.name for path in kept.path.parent.iterdir()) == ["credentials.json", "credentials.lock"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "whirr").write_text("a file")
    with pytest.raises(FolderError, match="cannot write"):
        Credentials({"XDG_CONFIG_HOME": str(tmp_path)}).remember("s", ["http://box:1"], "t")


@pytest.mark.parametrize("url", ["box", "box:8080", "ftp://box", "http://", "http://box:port", "http://box:99999", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        normal(url)


def test_an_address_has_one_form() -> None:
    assert normal(" http://Box/a/ ") == "http://box:80/a"
    assert normal("https://[::1]") == "https://[::1]:443"
