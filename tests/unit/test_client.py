"""``WhirrClient`` as its contract has it: what it is called with, and what is refused before anything is sent."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whirr import arguments
from whirr.client import WhirrClient, WhirrClientError
from whirr.errors import BadAnswer, NotFound, Unreachable
from whirr.model import RANGES
from whirr.remote_files import Patience, whole_lines

NONE: dict[str, object] = {"name": None, "config": None, "tags": None}
EMPTY = inspect.Parameter.empty
CONTRACT: dict[str, dict[str, object]] = {
    "submit_job": {"command_argv": EMPTY, "workdir": EMPTY, **NONE},
    "wait_for_job": {"job_id": EMPTY, "poll_interval": 1.0, "timeout": None},
    "submit_and_wait": {"command_argv": EMPTY, "workdir": EMPTY, **NONE, "poll_interval": 1.0, "timeout": None},
    "get_metrics": {"run_id": EMPTY},
    "list_artifacts": {"run_id": EMPTY},
    "get_artifact": {"run_id": EMPTY, "path": EMPTY},
    "get_job": {"job_id": EMPTY},
    "get_run": {"run_id": EMPTY},
    "get_status": {},
    "cancel_job": {"job_id": EMPTY},
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[WhirrClient]:
    """A client of a server that is not there: whatever it sends fails as unreachable."""
    with WhirrClient("http://127.0.0.1:9", token="none", environ={"HOME": str(tmp_path)}) as made:
        yield made


@pytest.mark.parametrize("method", CONTRACT)
def test_parameters_are_those_of_the_contract(method: str) -> None:
    given = inspect.signature(getattr(WhirrClient, method)).parameters.values()
    positional = {one.name: one.default for one in given if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert list(positional.items()) == [("self", EMPTY), *CONTRACT[method].items()]
    further = [one for one in given if one.name not in positional]
    assert all(one.default is not EMPTY or one.kind is inspect.Parameter.VAR_KEYWORD for one in further)


def test_every_method_and_parameter_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "client.md").read_text()
    for name, method in [("WhirrClient", WhirrClient), *inspect.getmembers(WhirrClient, inspect.isfunction)]:
        if not name.startswith("_") and name != "close":
            assert f"`{name}(" in page or f"\n{name}(" in page, name
            words = set(inspect.signature(method).parameters) - {"self"}
            assert {word for word in words if not re.search(rf"\b{word}\b", page)} == set(), name


def test_parameters_of_get_runs() -> None:
    assert list(inspect.signature(WhirrClient.get_runs).parameters)[1:] == ["status", "tag", "limit"]


@pytest.mark.parametrize(
    "url", ["", "head-node", "head-node:8080", "ftp://head-node", "http://", "http://head:port", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(WhirrClientError) as told:
        WhirrClient(url)
    assert told.value.code == "usage"


@pytest.mark.parametrize(
    ("call", "about"),
    [
        (lambda client: client.submit_job("python train.py", "/"), "command_argv"),
        (lambda client: client.submit_job(["python", 3], "/"), "command_argv"),
        (lambda client: client.submit_job(None, "/"), "wrong kind"),
        (lambda client: client.submit_job(["true"], ""), "workdir"),
        (lambda client: client.submit_job(["true"], None), "wrong kind"),
        (lambda client: client.submit_job(["true"], "/", after=3), "wrong kind"),
        (lambda client: client.submit_job(["true"], "/", env=["A=1"]), "wrong kind"),
        (lambda client: client.wait_for_job(1, timeout="1h"), "wrong kind"),
        (lambda client: client.get_artifact("job-1", None), "wrong kind"),
        (lambda client: client.submit_job(["true"], "/", tags="sweep"), "tags"),
        (lambda client: client.submit_job(["true"], "/", env={"SEED": 3}), "env"),
        (lambda client: client.submit_job(["true", "\ud83d"], "/"), "command_argv"),
        (lambda client: client.submit_job(["true"], "/\ud83d"), "workdir"),
        (lambda client: client.submit_job(["true"], "/", "\ud83d"), "name"),
        (lambda client: client.submit_job(["true"], "/", tags=["\udcff"]), "tags"),
        (lambda client: client.submit_job(["true"], "/", env={"K": "\ud83d"}), "env"),
        (lambda client: client.submit_again(1, ["\ud83d"]), "command_argv"),
        (lambda client: client.get_runs(tag="\udcff"), "cannot be sent"),
        (lambda client: client.get_run("\ud83d"), "run_id"),
        (lambda client: client.get_artifact("job-1", "\ud83d"), "path"),
        (lambda client: client.submit_job(["true"], "/", key="short"), "key"),
        (lambda client: client.submit_job(["true"], "/", time_limit=0), "time_limit=0 is no number from 0.001"),
        (lambda client: client.submit_job(["true"], "/", time_limit="1h"), "time_limit"),
        (lambda client: client.submit_job(["true"], "/", grace=-1), "grace=-1 is no number"),
        (lambda client: client.submit_job(["true"], "/", grace=None), "grace"),
        (lambda client: client.submit_job(["true"], "/", gpus=1.5), "gpus=1.5 is no whole number"),
        (lambda client: client.submit_job(["true"], "/", retries=-1), "retries"),
        (lambda client: client.submit_job(["true"], "/", priority=10**7), "priority"),
        (lambda client: client.submit_again(1, time_limit=float("nan")), "time_limit"),
        (lambda client: client.set_priority(1, "high"), "priority"),
        (lambda client: client.submit_job(["true"], "/", key=5), "key"),
        (lambda client: client.submit_and_wait(["true"], "/", timeout="5"), "wrong kind"),
        (lambda client: client.download_artifact("job-1", "output.log", 5), "wrong kind"),
        (lambda client: client.submit_job(["true"], "/", after=["job-1"]), "job-1"),
        (lambda client: client.get_job("job-1"), "job-1"),
        (lambda client: client.get_job(True), "True"),
        (lambda client: client.set_priority("1", 2), "'1'"),
        (lambda client: client.submit_again(1, "python train.py"), "command_argv"),
        (lambda client: client.submit_again(1, without_env="SEED"), "without_env"),
        (lambda client: client.wait_for_job(1, poll_interval=-1), "poll_interval"),
        (lambda client: client.wait_for_job(1, timeout=float("nan")), "timeout"),
        (lambda client: client.get_runs(status="done"), "done"),
        (lambda client: client.get_runs(status=""), "status"),
        (lambda client: client.get_runs(tag=""), "tag"),
        (lambda client: client.get_runs(limit=-1), "limit"),
        (lambda client: client.get_run(1), "run_id"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(
    client: WhirrClient, call: Callable[[WhirrClient], Any], about: str
) -> None:
    with pytest.raises(WhirrClientError, match=about) as told:
        call(client)
    assert told.value.code == "usage"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_run(),
        lambda client: client.get_runs(state="failed"),
        lambda client: client.get_job(1, 2),
        lambda client: client.wait_for_job(1, poll=3),
        lambda client: client.submit_and_wait(["true"], "/", timeot=3),
        lambda client: client.submit_job(["true"]),
        lambda client: client.download_artifact("job-1", "output.log"),
    ],
)
def test_a_call_that_does_not_fit_is_a_type_error(client: WhirrClient, call: Callable[[WhirrClient], Any]) -> None:
    with pytest.raises(TypeError, match="argument"):
        call(client)


@pytest.mark.parametrize(
    "about",
    [
        {"timeout": None},
        {"timeout": "5"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"away": "1h"},
        {"token": 5},
        {"environ": 5},
    ],
)
def test_a_client_that_cannot_be_made_is_the_callers_mistake(about: dict[str, Any]) -> None:
    with pytest.raises(WhirrClientError) as told:
        WhirrClient("http://127.0.0.1:9", **about)
    assert told.value.code == "usage"


@pytest.mark.parametrize("token", ["a\nb", "é", "a\0b", "\ud83d"])
def test_a_token_that_cannot_be_sent_is_called_so(token: str) -> None:
    for about in ({"token": token}, {"environ": {"WHIRR_TOKEN": token}}):
        with pytest.raises(WhirrClientError, match="token") as told:
            WhirrClient("http://127.0.0.1:9", **about)
        assert told.value.code == "usage"
        assert token not in str(told.value)


def test_a_number_that_no_job_has_is_no_job(client: WhirrClient) -> None:
    for call in (
        lambda: client.get_job(0),
        lambda: client.wait_for_job(-1),
        lambda: client.cancel_job(2**63),
        lambda: client.submit_job(["true"], "/", after=[0]),
    ):
        with pytest.raises(WhirrClientError, match="there is no job") as told:
            call()
        assert told.value.code == "not-found"


def test_the_hint_fits_the_argument(client: WhirrClient) -> None:
    for about, like in (({"tags": "sweep"}, "baseline"), ({"env": {"SEED": 7}}, "SEED")):
        with pytest.raises(WhirrClientError) as told:
            client.submit_job(["true"], "/", **about)
        assert like in (told.value.hint or "")


def test_texts_may_come_one_by_one() -> None:
    assert arguments.texts("command_argv", iter(["python", "train.py"])) == ("python", "train.py")


def test_numbers_of_other_libraries_are_taken() -> None:
    found = arguments.within("gpus", np.int64(2), RANGES["gpus"])
    assert (found, type(found)) == (2, int)
    found = arguments.within("grace", np.float32(0.5), RANGES["grace_s"])
    assert (found, type(found)) == (0.5, float)


@pytest.mark.parametrize("path", ["../meta.json", "/etc/passwd", "a/../../b", "a//b", "a\0b", "."])
def test_a_path_out_of_the_run_is_refused(client: WhirrClient, path: str, tmp_path: Path) -> None:
    for call in (client.get_artifact, lambda run, path: client.download_artifact(run, path, tmp_path / "file")):
        with pytest.raises(WhirrClientError) as told:
            call("job-1", path)
        assert told.value.code == "not-found"
    assert not (tmp_path / "file.part").exists()


@pytest.mark.parametrize("run_id", ["..", "../..", "a/b", ".staging"])
def test_what_is_no_id_is_no_run(client: WhirrClient, run_id: str) -> None:
    for call in (
        client.get_run,
        client.get_metrics,
        client.list_artifacts,
        lambda run: next(client.follow_metrics(run)),
    ):
        with pytest.raises(WhirrClientError) as told:
            call(run_id)
        assert told.value.code == "not-found"


def test_a_server_that_is_down_is_told_at_once(client: WhirrClient) -> None:
    for call in (client.get_status, lambda: client.wait_for_job(1), lambda: next(client.follow_log(1))):
        with pytest.raises(WhirrClientError, match="nothing listens") as told:
            call()
        assert told.value.code == "unreachable"
        assert told.value.hint


@pytest.mark.parametrize("forever", [float("inf"), 1e300])
def test_any_time_may_be_given_to_a_server(tmp_path: Path, forever: float) -> None:
    with WhirrClient("http://127.0.0.1:9", timeout=forever, away=forever, environ={"HOME": str(tmp_path)}) as client:
        for call in (client.get_status, lambda: client.wait_for_job(1, poll_interval=forever, timeout=forever)):
            with pytest.raises(WhirrClientError) as told:
                call()
            assert told.value.code == "unreachable"


def test_a_closed_client_says_so(client: WhirrClient) -> None:
    with client:
        pass
    with pytest.raises(WhirrClientError, match="closed"):
        client.get_status()


def test_without_httpx_the_error_names_the_extra() -> None:
    program = """
import sys
sys.modules["httpx"] = None
from whirr.client import WhirrClient, WhirrClientError
try:
    WhirrClient("http://127.0.0.1:9")
except WhirrClientError as error:
    print(error.code, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "missing-extra" in done.stdout
    assert "[server]" in done.stdout
    assert done.stdout.count("\n") == 1


def test_lines_are_cut_at_their_ends() -> None:
    assert list(whole_lines(iter([b"a", b"b\nc\nd", b"\n", b"torn"]))) == [b"ab\nc", b"d"]


def test_patience_ends_and_is_only_for_absence() -> None:
    def away() -> None:
        raise Unreachable("away")

    def damaged() -> None:
        raise BadAnswer("what?")

    with Patience(60).bearing():
        away()
    with pytest.raises(BadAnswer), Patience(60).bearing():
        damaged()
    impatient = Patience(0)
    with pytest.raises(Unreachable), impatient.bearing():
        away()


def test_a_question_is_put_again_until_it_is_answered() -> None:
    answers = iter([Unreachable("away"), Unreachable("away"), 7, NotFound("no")])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    patience = Patience(60)
    assert patience.ask(ask) == 7
    with pytest.raises(NotFound):
        patience.ask(ask)
