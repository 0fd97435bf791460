"""Stamps: one spelling, back and forth."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr import clock

FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]),
)


def test_now_is_aware_and_in_utc() -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_a_stamp_without_a_moment_is_of_now() -> None:
    before = clock.now()
    assert before <= clock.at(clock.epoch(clock.stamp())) + timedelta(microseconds=1)
    assert clock.epoch(clock.stamp()) <= clock.now().timestamp()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.5, "0.5s"), (90, "1m30s"), (5400, "1h30m"), (86400, "1d"), (90061.25, "1d1h1m1.25s"),
        (1e7, "115d17h46m40s"),
    ],
)  # fmt: skip
def test_a_duration_that_is_spelled_can_be_read_again(seconds: float, text: str) -> None:
    assert clock.spell_duration(seconds) == text
    assert clock.parse_duration(text) == seconds


@given(MOMENTS)
def test_stamps_keep_the_moment(moment: datetime) -> None:
    text = clock.stamp(moment)
    assert FORM.fullmatch(text)
    assert clock.epoch(text) == pytest.approx(moment.timestamp(), abs=1e-5)


@given(MOMENTS, MOMENTS)
def test_stamps_sort_as_their_moments(one: datetime, other: datetime) -> None:
    assert (clock.stamp(one) < clock.stamp(other)) == (one < other)


@pytest.mark.parametrize("text", ["2024-01-15T10:30:00Z", "2024-01-15T11:30:00+01:00", "2024-01-15T10:30:00"])
def test_other_spellings_are_read(text: str) -> None:
    assert clock.epoch(text) == datetime(2024, 1, 15, 10, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z"])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's own words
        clock.epoch(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (42.9, "42s"),
        (59.99, "59s"),
        (60, "1m 00s"),
        (200, "3m 20s"),
        (3599, "59m 59s"),
        (18420, "5h 07m"),
        (183600, "2d 03h"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert clock.format_duration(seconds) == text
