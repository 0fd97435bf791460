"""Secrets do not reach the record, and what only looks like one does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr.capture.redact import clean_url, hide_arguments, is_secret_file, is_secret_name


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:token@host/a.git", "https://host/a.git"),
        ("https://token@host/a.git", "https://host/a.git"),
        ("http://user:p@ss@host:8080/a", "http://host:8080/a"),
        ("ssh://git@github.com/u/r.git", "ssh://git@github.com/u/r.git"),
        ("ssh://me:secret@host/r.git", "ssh://me@host/r.git"),
        ("git@github.com:user/repo.git", "git@github.com:user/repo.git"),
        ("/srv/git/repo.git", "/srv/git/repo.git"),
        ("https://host/a.whl?private_token=abc&x=1", "https://host/a.whl?x=1"),
        ("https://host/a?X-Amz-Signature=abc#sha256=1", "https://host/a#sha256=1"),
        ("https://${USER}:${TOKEN}@host/a", "https://${USER}:${TOKEN}@host/a"),
        ("git+https://oauth2:glpat@host/a@main#egg=a", "git+https://host/a@main#egg=a"),
        ("https://host/a@v1", "https://host/a@v1"),
    ],
)
def test_urls_lose_credentials_and_nothing_else(url: str, clean: str) -> None:
    assert clean_url(url) == clean


@given(st.from_regex(r"[A-Za-z0-9:]{1,20}", fullmatch=True), st.from_regex(r"[a-z]{1,9}", fullmatch=True))
def test_no_password_survives_in_a_web_url(login: str, host: str) -> None:
    assert clean_url(f"https://u{login}@{host}.test/p") == f"https://{host}.test/p"


@given(st.text(max_size=200))
def test_any_text_is_taken_and_cleaned_text_stays(text: str) -> None:
    once = hide_arguments([text])
    assert hide_arguments(once) == once
    assert len(once) == 1


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--api-key", "k1", "--lr", "1"], ["--api-key", "***", "--lr", "1"]),
        (["--token=abc"], ["--token=***"]),
        (["--password", "--lr", "1"], ["--password", "--lr", "1"]),
        (["wandb.api_key=abc", "model.lr=1"], ["wandb.api_key=***", "model.lr=1"]),
        (["--hfToken", "abc"], ["--hfToken", "***"]),
        (["--tokenizer", "gpt2", "--max-tokens", "9"], ["--tokenizer", "gpt2", "--max-tokens", "9"]),
        (["--pad_token", "<pad>", "--key", "image"], ["--pad_token", "<pad>", "--key", "image"]),
        (["--db", "postgres://u:p@h/d"], ["--db", "postgres://h/d"]),
        (["--note", "see hf_" + "a" * 34], ["--note", "see ***"]),
        (["x" * 5000], ["x" * 4096]),
    ],
)
def test_arguments_keep_all_but_secrets(argv: list[str], shown: list[str]) -> None:
    assert hide_arguments(argv) == shown


def test_names_of_secrets_are_told_by_their_last_words() -> None:
    assert all(map(is_secret_name, ["--api-key", "AWS_SECRET_ACCESS_KEY", "apiKey", "token", "--db.passwd"]))
    assert not any(map(is_secret_name, ["", "--", "--tokens", "key", "--token-limit", "--eos-token", "secretary"]))


def test_key_files_are_told_by_name_and_folder() -> None:
    secret = [
        ".env",
        "a/.env.local",
        "id_rsa",
        "certs/SERVER.PEM",
        "x.key",
        ".ssh/config",
        "home/.aws/credentials",
    ]
    plain = [".env.example", "env", "keys.py", "train.py", "id_rsa.pub", "pem", ".environment"]
    assert all(map(is_secret_file, secret))
    assert not any(map(is_secret_file, plain))
