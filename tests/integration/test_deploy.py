"""What is in ``deploy/`` runs, as far as it can without a container engine and without systemd in charge."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml
from helpers import wait_until
from postgres import free_port

from whirr.cli import program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def dockerfile() -> list[tuple[str, str]]:
    """Each instruction and what follows it."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, rest in found]


def instruction(word: str) -> str:
    (found,) = [rest for one, rest in dockerfile() if one == word]
    return found


def compose() -> dict[str, Any]:
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert isinstance(found, dict)
    return found


def refuse_unknown_options(words: list[str]) -> None:
    """Options of a command line that the command does not have fail the test."""
    context = click.Context(program)
    command = program.get_command(context, words[0])
    assert command is not None
    command.make_context(words[0], list(words[1:]), resilient_parsing=False)


@contextmanager
def running(command: list[str], place: Path, port: int, **variables: str) -> Iterator[None]:
    """A server that answers."""
    environ = {**os.environ, "HOME": str(place), "XDG_CONFIG_HOME": "", **variables}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=place, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert process.poll() is None, (place / "log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                    return bool(json.load(answer)["status"] == "ok")
            except OSError:
                return False

        wait_until(answers, 30)
        yield
        process.send_signal(getattr(signal, instruction("STOPSIGNAL")))
        assert process.wait(30) == 0, (place / "log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def here(words: list[str], port: int, place: Path) -> list[str]:
    """A command of the container as it can run on this machine."""
    other = {"0.0.0.0": "127.0.0.1", "8080": str(port), "/data": str(place / "data")}
    return [other.get(word, word) for word in words]


def test_the_image_is_built_from_what_is_there() -> None:
    copied = [Path(name) for word, rest in dockerfile() if word == "COPY" for name in rest.split()[:-1]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "src"} <= set(map(str, copied))
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for path in copied:
        assert (ROOT / path).exists()
        assert f"!{path.as_posix().removeprefix('./')}" in ignored
    (install,) = [rest for word, rest in dockerfile() if word == "RUN" and "pip install" in rest]
    extras = re.search(r"\.\[([\w,]+)\]", install)
    assert extras
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()


def test_the_image_runs_without_rights_and_keeps_its_data() -> None:
    assert instruction("USER") == "whirr"
    (made,) = [rest for word, rest in dockerfile() if word == "RUN" and "useradd" in rest]
    assert f"-o whirr -g whirr -m 700 {instruction('VOLUME')}" in made
    assert re.fullmatch(r"[a-z]+:[\w.-]+", instruction("FROM"))


def test_the_command_of_the_image_runs_and_is_found_healthy(tmp_path: Path) -> None:
    port = free_port()
    words = json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD"))
    check = json.loads(instruction("HEALTHCHECK").partition("CMD")[2])
    python = [sys.executable, *(word.replace(":8080", f":{port}") for word in check[1:])]
    with running(here(words, port, tmp_path), tmp_path, port):
        assert subprocess.run(python, timeout=30).returncode == 0
    assert (tmp_path / "data" / "queue" / "queue.db").exists()
    assert subprocess.run(python, timeout=30, stderr=subprocess.DEVNULL).returncode != 0


def test_the_server_of_the_compose_file_finds_its_database(tmp_path: Path, postgres_url: str) -> None:
    port, service, address = free_port(), compose()["services"]["server"], urlsplit(postgres_url)
    secret = tmp_path / "password"
    secret.write_text(urllib.request.unquote(address.password or "") + "\n")
    words = here([*service["entrypoint"], *service["command"]], port, tmp_path)
    server, name = f"{address.hostname}:{address.port}", address.path.strip("/")
    script = words[2].replace("$$", "$").replace("/run/secrets/database-password", str(secret))
    words[2] = script.replace("whirr@database/whirr", f"{address.username}@{server}/{name}")
    with running(words, tmp_path, port):
        pass
    assert not (tmp_path / "data" / "queue" / "queue.db").exists()
    assert "(postgresql)" in (tmp_path / "log").read_text()


def test_the_compose_file_is_whole() -> None:
    found = compose()
    services = found["services"]
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        assert set(service["secrets"]) <= found["secrets"].keys()
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in found["volumes"]
    build = services["server"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert "healthcheck" in services[next(iter(services["server"]["depends_on"]))]
    assert all(port.startswith("127.0.0.1:") for port in services["server"]["ports"])
    refuse_unknown_options(services["server"]["command"])


def test_docker_reads_the_compose_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker compose")
    done = subprocess.run(
        [docker, "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "-q"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units(unit: Path, tmp_path: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.M)
    command, *words = shlex.split(line)
    assert command == "/opt/whirr/bin/whirr"
    refuse_unknown_options(words)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(command, str(Path(sys.executable).with_name("whirr"))))
    done = subprocess.run([analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True)
    complaints = [text for text in done.stderr.splitlines() if unit.name in text]
    assert complaints == []
