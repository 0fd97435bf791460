"""Run one page of the documentation in the working directory: python page.py PAGE

Top to bottom, stopping at the first failure:

- a ```python block is executed; the blocks of a page share one namespace, as a reader would type them;
- a ```python file=train.py block is written to that file instead, for a later command to run;
- in a ```console block every line after "$ " is run by the shell, must succeed, and must print the
  lines below it ("..." stands for any text, spaces do not matter; no lines below: any output will do);
- a ```json block must be one JSON document, a ```jsonl block one per line;
- a comment "<!-- python" ... "-->" is executed too: stand-ins and checks that would only distract a reader.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r"^(?:```(?P<info>(?:python|console|jsonl?)\b[^\n]*)\n(?P<shown>.*?)^```"
    r"|<!-- python\n(?P<hidden>.*?)^-->)",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    kind: str
    file: str | None
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    for match in BLOCK.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        kind, *options = (match["info"] or "python").split()
        file = next((option.removeprefix("file=") for option in options if option.startswith("file=")), None)
        yield Block(kind, file, match["shown"] or match["hidden"] or "", line)


def commands(console: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output shown for it."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            following, _, output = output.partition("\n")
            command += "\n" + following
        yield command, output


def same_output(shown: str, printed: str) -> bool:
    """A "..." that stands alone may also be nothing."""
    pattern = "".join(
        r"(?:\s+.*?)?" if word == "..." else r"\s+" + re.escape(word).replace(r"\.\.\.", r".*?")
        for word in shown.split()
    )
    return not pattern or re.fullmatch(pattern, " " + printed.strip(), re.DOTALL) is not None


def run_command(command: str, shown: str, where: str) -> None:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    printed = done.stdout + done.stderr
    if done.returncode != 0:
        raise SystemExit(f"{where}: $ {command}\nexit status {done.returncode}\n{printed}")
    if not same_output(shown, printed):
        raise SystemExit(f"{where}: $ {command}\nthe page shows:\n{shown}\nbut this was printed:\n{printed}")


def run_block(block: Block, path: Path, namespace: dict[str, object]) -> None:
    where = f"{path}:{block.line}"
    if block.file is not None:
        Path(block.file).write_text(block.text)
    elif block.kind == "python":
        # The padding makes tracebacks name the line of the page.
        exec(compile("\n" * block.line + block.text, str(path), "exec"), namespace)
    elif block.kind == "console":
        for command, shown in commands(block.text):
            run_command(command, shown, where)
    else:
        for document in block.text.splitlines() if block.kind == "jsonl" else [block.text]:
            json.loads(document)


def main(path: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(path.read_text()):
        run_block(block, path, namespace)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
