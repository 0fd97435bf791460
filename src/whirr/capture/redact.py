"""Keep secrets out of what is recorded: in URLs, in command lines, in patches."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN = "***"

_SECRET_WORDS = frozenset(
    (
        "apikey",
        "auth",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "token",
    )
)
_KINDS_OF_KEY = frozenset(("access", "account", "api", "encryption", "private", "secret", "signing", "ssh"))
_KINDS_OF_TEXT_TOKEN = frozenset(
    (
        "begin",
        "bos",
        "class",
        "cls",
        "concept",
        "decoder",
        "end",
        "eos",
        "image",
        "initializer",
        "instance",
        "mask",
        "new",
        "next",
        "pad",
        "per",
        "placeholder",
        "prompt",
        "sep",
        "special",
        "start",
        "stop",
        "trigger",
        "unk",
    )
)
_URL = r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^/?#\s]*)([^?#\s]*)(\?[^#\s]*)?"
_KNOWN_TOKEN = (
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|A[KS]IA[A-Z0-9]{16})"
)
_KEY_FILE_ENDS = (".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk")
_KEY_FILES = frozenset(
    (
        ".git-credentials",
        ".htpasswd",
        ".netrc",
        ".pgpass",
        ".pypirc",
        "credentials.json",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        "id_rsa",
        "kaggle.json",
        "service-account.json",
        "service_account.json",
    )
)
_KEY_FOLDERS = frozenset((".aws", ".azure", ".gnupg", ".kube", ".ssh"))


def clean_url(url: str) -> str:
    """`url` without user names, passwords, and query parameters that carry a secret.

    A user name that only says which account to log into (`ssh://git@host`) stays, as does one that names
    an environment variable (`${TOKEN}@host`). Text that is no `scheme://` URL comes back as it is.
    """
    return re.sub(_URL, _clean_parts, url)


def _clean_parts(match: re.Match[str]) -> str:
    scheme, place, path, query = match.groups()
    who, at, host = place.rpartition("@")
    if at and not re.fullmatch(r"\$\{[\w-]+\}(:\$\{[\w-]+\})?", who):
        user, _, _ = who.partition(":")
        names_account = "ssh" in scheme or user == "git"
        place = f"{user}@{host}" if names_account else host
    if query:
        kept = [pair for pair in query[1:].split("&") if not _query_secret(pair.partition("=")[0])]
        query = "?" + "&".join(kept) if kept else ""
    return f"{scheme}{place}{path}{query or ''}"


def _query_secret(name: str) -> bool:
    low = name.lower()
    return any(word in low for word in ("token", "secret", "pass", "auth", "credential", "key", "sig"))


def hide_arguments(argv: Sequence[str], longest: int = 4096) -> list[str]:
    """`argv` with the secrets in it replaced by `***`, each argument cut at `longest` characters.

    Hidden are the values of options and assignments whose name says so (`--api-key K`, `--token=T`,
    `db.password=P`), passwords inside URLs, and text that has the form of a well-known service's token.
    `--tokenizer`, `--max-tokens` or `--pad-token` are not taken for secrets.
    """
    shown: list[str] = []
    hide_next = False
    for argument in argv:
        name, equals, value = argument.partition("=")
        if hide_next and not argument.startswith("-"):
            shown.append(HIDDEN)
            hide_next = False
            continue
        hide_next = argument.startswith("-") and not equals and is_secret_name(argument)
        if equals and value and is_secret_name(name):
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(re.sub(_KNOWN_TOKEN, HIDDEN, clean_url(argument[:longest])))
    return shown


def is_secret_name(name: str) -> bool:
    """Whether an option or variable called `name` holds a secret, by its last words."""
    if len(name) > 200:
        return False
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower())
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "key":
        return before in _KINDS_OF_KEY
    return last in _SECRET_WORDS and not (last == "token" and before in _KINDS_OF_TEXT_TOKEN)


def is_secret_file(path: str) -> bool:
    """Whether the file's name is one under which keys and passwords are kept (`.env`, `id_rsa`, `.ssh/x`)."""
    folder, name = os.path.split(path.lower())
    if not _KEY_FOLDERS.isdisjoint(folder.split(os.sep)):
        return True
    if name.startswith(".env."):
        return not name.endswith((".example", ".sample", ".template"))
    return name == ".env" or name in _KEY_FILES or name.endswith(_KEY_FILE_ENDS)
