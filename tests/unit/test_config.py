"""Settings from the environment."""

from __future__ import annotations

import pytest

from whirr.config import Settings
from whirr.errors import UsageError


def test_nothing_needs_to_be_set() -> None:
    settings = Settings({})
    assert not settings.disabled
    assert not settings.capture_output
    assert settings.system_interval == 10
    assert (settings.dir, settings.run_dir, settings.run_id, settings.job_id) == (None, None, None, None)


def test_all_variables() -> None:
    settings = Settings(
        {
            "WHIRR_MODE": "disabled",
            "WHIRR_DIR": "d",
            "WHIRR_RUN_DIR": "r",
            "WHIRR_RUN_ID": "job-1",
            "WHIRR_JOB_ID": "1",
            "WHIRR_SYSTEM_INTERVAL": "2.5",
            "WHIRR_CAPTURE_OUTPUT": "1",
        }
    )
    assert settings.disabled
    assert settings.capture_output
    assert settings.system_interval == 2.5
    assert (settings.dir, settings.run_dir, settings.run_id, settings.job_id) == ("d", "r", "job-1", "1")


def test_empty_variables_count_as_unset() -> None:
    names = ("MODE", "DIR", "RUN_DIR", "RUN_ID", "JOB_ID", "SYSTEM_INTERVAL", "CAPTURE_OUTPUT")
    settings, unset = Settings({f"WHIRR_{name}": "" for name in names}), Settings({})
    assert [getattr(settings, slot) for slot in Settings.__slots__] == [
        getattr(unset, slot) for slot in Settings.__slots__
    ]


@pytest.mark.parametrize("word", ["disabled", "DISABLED", " disabled "])
def test_the_mode_in_any_case(word: str) -> None:
    assert Settings({"WHIRR_MODE": word}).disabled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WHIRR_MODE", "of"),
        ("WHIRR_SYSTEM_INTERVAL", "soon"),
        ("WHIRR_SYSTEM_INTERVAL", "0"),
        ("WHIRR_SYSTEM_INTERVAL", "-1"),
        ("WHIRR_SYSTEM_INTERVAL", "nan"),
        ("WHIRR_SYSTEM_INTERVAL", "inf"),
        ("WHIRR_CAPTURE_OUTPUT", "perhaps"),
    ],
)
def test_a_value_that_means_nothing_is_an_error(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name}={value}") as caught:
        Settings({name: value})
    assert caught.value.hint


@pytest.mark.parametrize(("text", "on"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("no", False)])
def test_flags(text: str, on: bool) -> None:
    assert Settings({"WHIRR_CAPTURE_OUTPUT": text}).capture_output is on


def test_settings_are_frozen() -> None:
    settings = Settings({})
    with pytest.raises(AttributeError):
        settings.disabled = True


def test_the_environment_of_this_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIRR_DIR", "elsewhere")
    assert Settings.from_env().dir == "elsewhere"


@pytest.mark.parametrize("variable", ["WHIRR_RUN_ID", "WHIRR_JOB_ID"])
@pytest.mark.parametrize("text", ["..", ".", "../evil", "/evil", "a/b"])
def test_ids_that_lead_elsewhere_are_refused(variable: str, text: str) -> None:
    with pytest.raises(UsageError, match=variable):
        Settings({variable: text})
