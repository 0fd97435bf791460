"""A job submitted again: what changes, what stays, and that secrets stay hidden and kept."""

from __future__ import annotations

import pytest
from hubs import spec

from whirr.capture.redact import HIDDEN
from whirr.errors import UsageError
from whirr.model import JobSpec
from whirr.resubmission import Changes, changed, shown

TWO = spec("run", "--token", "first", "--password", "second", "--lr=1")


def again(before: JobSpec, **about: object) -> JobSpec:
    return changed(before, Changes(**about), 7)  # type: ignore[arg-type]


def test_nothing_changes_but_where_it_comes_from() -> None:
    before = spec("run", name="n", gpus=2, executable="/bin/run", submitted={"tree": None}, env={"A": "1"})
    assert again(before) == before._replace(submitted={"tree": None, "again_of": 7})


def test_a_field_is_changed_or_goes_back_to_its_default() -> None:
    before = spec("run", name="n", gpus=2, timeout_s=3.0)
    assert again(before, gpus=0, name="m")[3:8] == before._replace(gpus=0, name="m")[3:8]
    made = again(before, gpus=0, name="m")
    assert (made.gpus, made.name, made.timeout_s) == (0, "m", 3.0)
    made = again(before, reset=("gpus", "timeout_s"))
    assert (made.gpus, made.name, made.timeout_s) == (None, "n", None)


def test_what_has_no_default_cannot_be_reset() -> None:
    with pytest.raises(UsageError, match="'argv' has no default"):
        again(TWO, reset=("argv",))


def test_another_program_is_looked_for_anew() -> None:
    before = spec("run", "a", executable="/bin/run", submitted={"executable": "/bin/run", "requirements": "r"})
    made = again(before, argv=("run", "b"))
    assert (made.executable, made.submitted["executable"]) == ("/bin/run", "/bin/run")
    made = again(before, argv=("walk", "b"))
    assert (made.executable, "executable" in made.submitted, made.submitted["requirements"]) == (None, False, "r")


def test_hidden_words_stand_for_what_they_hide() -> None:
    seen = shown(TWO).argv
    assert seen == ("run", "--token", HIDDEN, "--password", HIDDEN, "--lr=1")
    assert again(TWO, argv=(*seen[:5], "--lr=2")).argv == (*TWO.argv[:5], "--lr=2")


def test_a_hidden_word_that_may_be_any_of_several_is_refused() -> None:
    with pytest.raises(UsageError, match="several different words"):
        again(TWO, argv=("run", "--token", HIDDEN))


def test_one_secret_given_twice_may_stand_in_any_number_of_places() -> None:
    before = spec("run", "--token", "same", "--password", "same")
    assert again(before, argv=("run", "--token", HIDDEN)).argv == ("run", "--token", "same")


def test_a_long_word_that_was_cut_stays_whole() -> None:
    before = spec("run", "x" * 10_000)
    assert again(before, argv=(*shown(before).argv, "--more")).argv == ("run", "x" * 10_000, "--more")


@pytest.mark.parametrize("word", [HIDDEN, f"--key={HIDDEN}", f"{HIDDEN}x"])
def test_a_hidden_word_out_of_nowhere_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="stands for what is hidden"):
        again(spec("run", "--lr=1"), argv=("run", word))


def test_stars_that_were_there_are_only_stars() -> None:
    assert again(spec("run", HIDDEN), argv=("run", HIDDEN, "x")).argv == ("run", HIDDEN, "x")


def test_variables_are_set_kept_and_left_out() -> None:
    before = spec("run", env={"A": "1", "B": "2", "API_TOKEN": "hush", "MORE": "x\ny"})
    made = again(before, env={"A": "3", "API_TOKEN": HIDDEN, "C": ""}, without_env=("B",))
    assert dict(made.env) == {"A": "3", "API_TOKEN": "hush", "MORE": "x\ny", "C": ""}
    assert dict(again(before, env={"API_TOKEN": "new"}).env)["API_TOKEN"] == "new"


def test_a_variable_that_was_never_there_cannot_be_left_out() -> None:
    with pytest.raises(UsageError, match="no variable B"):
        again(spec("run", env={"A": "1"}), without_env=("B",))


def test_a_hidden_value_of_another_variable_is_refused() -> None:
    with pytest.raises(UsageError, match="stands for what is hidden"):
        again(spec("run", env={"API_TOKEN": "hush"}), env={"OTHER": HIDDEN})
