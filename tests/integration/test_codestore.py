"""Submitted trees on their way: sent as a difference, stored once and whole, cached, given back as they were."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from repositories import git, write
from servers import WHIRR, running_server, served

from whirr.codestore import LocalCode, stacked, write_pack
from whirr.connect import open_hub
from whirr.errors import AccessDenied, BadAnswer, FolderError, NotFound, TooLarge, UsageError
from whirr.hub import Code
from whirr.model import Role
from whirr.snapshot import send
from whirr.submission import Tree, checkout, keep, record_tree


class Counting:
    """A store that notes the sizes of the packs it takes and gives."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self.sizes: list[int] = []

    def known(self, trees: Sequence[str]) -> list[str]:
        return self._code.known(trees)

    def add(self, tree: str, pack: Path) -> None:
        self.sizes.append(pack.stat().st_size)
        self._code.add(tree, pack)

    def fetch(self, tree: str, known: Sequence[str], pack: Path) -> None:
        self._code.fetch(tree, known, pack)
        self.sizes.append(pack.stat().st_size)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write(folder, {"train.py": "x = 1\n", "lib/model.py": "y = 1\n"})
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "work")
    return folder


@pytest.fixture(params=["local", "http"])
def code(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Code]:
    """The store of a hub, and the same by way of a server."""
    hub = open_hub(tmp_path / "hub" / ".whirr")
    try:
        if request.param == "local":
            yield hub.code
        else:
            with served(hub) as remote:
                yield remote.code
    finally:
        hub.close()


def recorded(top: Path, **more: Any) -> Tree:
    found = record_tree(top, limit_s=60, **more)
    assert found is not None
    return found


def name_of(tree: Tree) -> str:
    assert tree.sent is not None
    return tree.sent


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def got(code: Code, sent: Tree, place: Path) -> dict[str, bytes]:
    """The files as a worker gets them, by way of a cache of its own."""
    cache = LocalCode(place / "cache")
    with cache.held(name_of(sent)) as store:
        cache.bring(code, name_of(sent))
        return files(checkout(sent, place / f"checkout-{os.urandom(4).hex()}", store))


def packed(top: Path, tree: str, place: Path) -> Path:
    """A pack of a tree of a repository, whole."""
    draft = stacked(place / f"draft-{os.urandom(4).hex()}", [top / ".git/objects"], tree)
    pack = place / f"pack-{os.urandom(4).hex()}"
    write_pack(draft, tree, [], pack)
    return pack


def test_a_small_edit_of_a_large_tree_sends_little(code: Code, top: Path, tmp_path: Path) -> None:
    noise = random.Random(1)
    write(top, {f"d{number}/data.bin": noise.randbytes(1 << 20) for number in range(3)})
    write(top, {f"module_{number}.py": f"x = {number}\n" for number in range(100)})
    counting = Counting(code)
    first = send(counting, recorded(top))
    keep(first, "job-1")
    assert got(counting, first, tmp_path)["train.py"] == b"x = 1\n"
    large = bytearray((top / "d1/data.bin").read_bytes())
    large[1000] ^= 1
    write(top, {"train.py": "x = 2\n", "d1/data.bin": bytes(large)})
    second = send(counting, recorded(top))
    found = got(counting, second, tmp_path)
    assert (found["train.py"], found["d1/data.bin"]) == (b"x = 2\n", bytes(large))
    assert send(counting, recorded(top)).sent == second.sent, "what is there is not sent again"
    whole, whole_back, edit, edit_back = counting.sizes
    assert min(whole, whole_back) > 3 << 20
    assert max(edit, edit_back) < 10_000


def test_submodules_one_in_another_travel_as_files(code: Code, top: Path, tmp_path: Path) -> None:
    for name in ("inner", "middle"):
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "-q")
        write(folder, {f"{name}.py": name, "keys/deploy.key": name} if name == "inner" else {f"{name}.py": name})
        if name == "middle":
            git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "inner"), "in")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "work")
    allowed = ("-c", "protocol.file.allow=always")
    git(top, *allowed, "submodule", "add", "-q", str(tmp_path / "middle"), "mid")
    git(top, *allowed, "submodule", "update", "-q", "--init", "--recursive")
    with pytest.raises(UsageError, match=r"holds mid/in/keys/deploy\.key, which may be secret"):
        send(code, recorded(top))
    sent = send(code, recorded(top, include=["mid/in/keys"]))
    found = got(code, sent, tmp_path)
    assert (found["mid/middle.py"], found["mid/in/inner.py"]) == (b"middle", b"inner")
    write(top, {"mid/later.txt": "not committed there"})
    with pytest.raises(UsageError, match=r"mid/later\.txt cannot be included"):
        send(code, recorded(top, include=["mid/in/keys", "mid/later.txt"]))


def test_what_git_lfs_keeps_travels_or_is_named(code: Code, top: Path, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"
    git(top, "config", "filter.lfs.clean", f"cat >/dev/null; printf '{pointer}'")
    write(top, {".gitattributes": "*.bin filter=lfs\n", "weights.bin": "w" * 5000, "absent.bin": pointer})
    git(top, "add", ".gitattributes")
    tree = recorded(top)
    assert git(top, "show", f"{tree.tree}:weights.bin") == pointer
    sent = send(code, tree)
    found = got(code, sent, tmp_path)
    assert (found["weights.bin"], found["absent.bin"]) == (b"w" * 5000, pointer.encode())
    assert sent.notes == ("1 files under Git LFS are sent as pointers: their content is not here",)
    small = send(code, tree, limit=1000)
    assert "their 0 MiB are too much" in small.notes[0]


def test_too_much_is_refused_and_the_largest_named(code: Code, top: Path) -> None:
    write(top, {"data/large.bin": os.urandom(3 << 20), "other.bin": os.urandom(1 << 20)})
    with pytest.raises(UsageError, match=r"send 4 MiB, more than 2 MiB: data/large.bin \(3 MiB\), other.bin"):
        send(code, recorded(top), limit=2 << 20)


def test_damaged_short_and_incomplete_packs_leave_nothing(code: Code, top: Path, tmp_path: Path) -> None:
    tree = recorded(top).tree
    whole = packed(top, tree, tmp_path).read_bytes()
    inner = git(top, "rev-parse", f"{tree}:lib").strip()
    for bad in (
        b"",
        b"PACK",
        whole[:-30],
        whole[:40] + b"\0\0\0" + whole[43:],
        packed(top, inner, tmp_path).read_bytes(),
    ):
        pack = tmp_path / "bad"
        pack.write_bytes(bad)
        with pytest.raises(BadAnswer):
            code.add(tree, pack)
        assert code.known([tree]) == []
        with pytest.raises(NotFound):
            code.fetch(tree, [], tmp_path / "none")
    with pytest.raises(UsageError):
        LocalCode(tmp_path / "hub/.whirr").add("../../evil", pack)
    pack.write_bytes(whole)
    code.add(tree, pack)
    assert code.known([tree, "0" * 40]) == [tree]
    place = LocalCode(tmp_path / "hub/.whirr").place(tree)
    assert git(place, "fsck", "--full", "--unreachable", "--no-progress") == ""
    assert list(place.glob("incoming-*")) == []


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "a/b"])
def test_a_tree_that_leads_out_of_its_folder_is_refused(name: str, top: Path, tmp_path: Path) -> None:
    blob = git(top, "rev-parse", "HEAD:train.py").strip()
    inner = git(top, "rev-parse", "HEAD:lib").strip()
    mode, entry = ("40000", inner) if name.startswith(".") else ("100644", blob)
    raw = tmp_path / "raw"
    raw.write_bytes(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(entry))
    tree = git(top, "hash-object", "-w", "-t", "tree", "--literally", str(raw)).strip()
    code = LocalCode(tmp_path / "store")
    with pytest.raises(BadAnswer):
        code.add(tree, packed(top, tree, tmp_path))
    assert code.known([tree]) == []


def test_a_pack_beyond_the_limit_is_refused(top: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    with pack.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(TooLarge):
        LocalCode(tmp_path / "store").add(recorded(top).tree, pack)


def test_many_at_once_and_many_packs(top: Path, tmp_path: Path) -> None:
    code = LocalCode(tmp_path / "store", packs=5)
    trees = []
    for number in range(12):
        write(top, {"train.py": f"x = {number}\n"})
        trees.append(recorded(top))
    sent: list[Tree] = []
    troubles: list[BaseException] = []

    def submit(some: list[Tree]) -> None:
        try:
            sent.extend(send(code, tree) for tree in some)
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=submit, args=(trees[start::3] + trees[:2],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert len({tree.sent for tree in sent}) == 12
    place = code.place(trees[0].tree)
    assert len(list((place / "objects/pack").glob("*.idx"))) < 12, "they were gathered"
    assert git(place, "fsck", "--full", "--no-progress") == ""
    assert got(code, sent[-1], tmp_path).keys() == {"train.py", "lib/model.py"}


def test_a_cache_is_trimmed_but_not_while_it_is_used(top: Path, tmp_path: Path) -> None:
    cache = LocalCode(tmp_path / "cache")
    names = []
    for number in range(4):
        write(top, {"data.bin": os.urandom(100_000)})
        names.append(name_of(send(cache, recorded(top))))
        os.utime(cache.place(names[-1]) / "refs/trees" / names[-1], (number, number))
    with cache.held(names[0]):
        cache.trim(1000)
    assert len(cache.known(names)) == 4
    cache.trim(1 << 30)
    assert len(cache.known(names)) == 4
    cache.trim(1000)
    assert cache.known(names) == names[2:]
    assert git(cache.place(names[0]), "fsck", "--full", "--unreachable", "--no-progress") == ""


def test_names_of_the_other_kind(tmp_path: Path) -> None:
    top = tmp_path / "modern"
    top.mkdir()
    git(top, "init", "-q", "--object-format=sha256")
    write(top, {"train.py": "x"})
    code = LocalCode(tmp_path / "store")
    sent = send(code, recorded(top))
    assert len(name_of(sent)) == 64
    assert got(code, sent, tmp_path) == {"train.py": b"x"}


def test_who_may_send_and_get(top: Path, tmp_path: Path) -> None:
    hub = open_hub(tmp_path / "hub" / ".whirr")
    tree = recorded(top)
    try:
        with served(hub, Role.WORKER) as worker, pytest.raises(AccessDenied):
            send(worker.code, tree)
        with served(hub, Role.SUBMIT) as submitter:
            sent = send(submitter.code, tree)
            with pytest.raises(AccessDenied):
                submitter.code.fetch(name_of(sent), [], tmp_path / "pack")
        with served(hub, Role.WORKER) as worker:
            assert got(worker.code, sent, tmp_path).keys() == {"train.py", "lib/model.py"}
    finally:
        hub.close()


def test_a_store_without_room_speaks_for_itself(top: Path, tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("no folder can be made in here")
    with pytest.raises(FolderError, match=f"cannot make {tmp_path / 'lab'}") as told:
        send(LocalCode(tmp_path / "lab"), recorded(top))
    assert "TMPDIR" not in str(told.value.hint)


def test_a_snapshot_runs_on_a_machine_that_has_no_such_folder(top: Path, tmp_path: Path) -> None:
    (top / "whirr.toml").write_text("[submit]\nsnapshot = true\n")
    write(top, {"lib/main.py": "import model, os; print(model.y, os.environ.get('VIRTUAL_ENV'))"})
    with running_server(tmp_path / "head") as server:

        def whirr(cwd: Path, *words: str, **more: str) -> str:
            environ = {**server.environ, "WHIRR_SERVER_URL": server.url, **more}
            done = subprocess.run([WHIRR, *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            return done.stdout

        whirr(top / "lib", "submit", "--", sys.executable, "main.py", VIRTUAL_ENV="/of/the/submitter")
        top.rename(tmp_path / "moved")
        spool = str(tmp_path / "spool")
        whirr(tmp_path, "worker", "--data-dir", spool, "--drain", VIRTUAL_ENV="/of/the/worker")
        assert whirr(tmp_path, "logs", "1") == "1 /of/the/worker\n"
        files = whirr(tmp_path, "show", "job-1", "--json")
        assert "code/" not in files, "the checkout stays on the worker's machine"
