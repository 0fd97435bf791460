"""The command line as its users meet it: real processes, real runs, a real terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from helpers import QUICK, outputs, program, start
from run_folders import write_run

import whirr

WHIRR = [sys.executable, "-c", "from whirr.cli import main; main()"]

TRAIN = f"""
    import math, sys, whirr

    with whirr.init(name="demo", config={{"lr": 0.01, "model": {{"name": "vit"}}}}, tags=["a", "b"], {QUICK}) as run:
        for step in range(50):
            run.log({{"train/loss": 2 * math.exp(-step / 5), "acc": step / 50, "phase": "main"}}, step=step)
        run.log({{"acc": math.nan}}, step=50)
        run.summary({{"best": 0.125}})
        open("model.bin", "wb").write(b"x" * 2048)
        run.save_artifact("model.bin", "models/best.bin")
        if sys.argv[1:]:
            raise ValueError("bad shape (3, 4)")
"""


class Answer:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "Traceback" not in self.err, self.err

    def json(self) -> Any:
        return json.loads(self.out)

    def rows(self) -> list[str]:
        """The lines of a table below its headings."""
        return self.out.splitlines()[1:]


def ask(*words: str, cwd: Path, **variables: str) -> Answer:
    environ = {**os.environ, **variables}
    return Answer(subprocess.run([*WHIRR, *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run was completed, then one failed."""
    place = tmp_path_factory.mktemp("trained")
    script = program(place / "train.py", TRAIN)
    for words in ([], ["fail"]):
        process = start([sys.executable, script, *words], place)
        outputs(process)
        assert process.returncode == len(words)
    return place


class TestWithoutRuns:
    def test_an_empty_list_and_a_hint(self, tmp_path: Path) -> None:
        answer = ask("runs", cwd=tmp_path)
        assert (answer.code, answer.out) == (0, "")
        assert "hint: start one with whirr.init()" in answer.err
        assert list(tmp_path.iterdir()) == []

    def test_json(self, tmp_path: Path) -> None:
        assert ask("runs", "--json", cwd=tmp_path).json() == []

    def test_show(self, tmp_path: Path) -> None:
        answer = ask("show", "-", cwd=tmp_path)
        assert (answer.code, answer.out) == (3, "")
        assert answer.err.startswith("error: there are no runs in ")
        assert "\nhint: " in answer.err


class TestProgram:
    def test_version(self, tmp_path: Path) -> None:
        assert ask("--version", cwd=tmp_path).out == f"whirr {whirr.__version__}\n"

    def test_help_names_every_command(self, tmp_path: Path) -> None:
        texts = [ask(*words, cwd=tmp_path) for words in ([], ["--help"], ["-h"])]
        assert texts[0].out == texts[1].out == texts[2].out
        assert [answer.code for answer in texts] == [0, 0, 0]
        assert re.search(r"^  runs +List runs", texts[0].out, re.M)
        assert re.search(r"^  show +Show one run", texts[0].out, re.M)
        assert re.search(r"Exit codes:.*\s130\s+interrupted", texts[0].out, re.S)

    @pytest.mark.parametrize(
        ("words", "problem"),
        [
            (["nope"], "no such command 'nope'"),
            (["runs", "--nope"], "no such option"),
            (["runs", "--limit", "-1"], "invalid value for '--limit'"),
            (["runs", "--limit", "x"], "invalid value for '--limit': 'x' is not a whole number"),
            (["runs", "--where", "lr"], "'lr' is not a condition"),
            (["runs", "--where", "lr~["], "'[' is not a regular expression"),
            (["runs", "--where", "loss<"], "'loss<' has no value"),
            (["runs", "--status", "faild"], "'faild' is no status"),
            (["runs", "--sort", "-"], "--sort needs a key"),
            (["runs", "--columns", ","], "--columns names no column"),
            (["show"], "missing argument 'RUN'"),
        ],
    )
    def test_misuse(self, trained: Path, words: list[str], problem: str) -> None:
        answer = ask(*words, cwd=trained)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith(f"error: {problem}")

    @pytest.mark.parametrize("words", [["runs", "--dir", "missing"], ["show", "nothing"], ["show", "demo"]])
    def test_not_found_or_ambiguous(self, trained: Path, words: list[str]) -> None:
        answer = ask(*words, cwd=trained)
        assert (answer.code, answer.out) == (3, "")
        assert re.match(r"error: .*\nhint: .*\n$", answer.err)

    def test_wrong_settings(self, trained: Path) -> None:
        answer = ask("runs", cwd=trained, WHIRR_MODE="sideways")
        assert (answer.code, answer.out) == (2, "")


class TestRuns:
    def test_the_table(self, trained: Path) -> None:
        answer = ask("runs", cwd=trained)
        assert (answer.code, answer.err) == (0, "")
        assert "\033" not in answer.out
        assert answer.out.split("\n")[0].split()[:6] == ["id", "name", "status", "started", "duration", "tags"]
        failed, completed = answer.rows()
        assert "failed: ValueError: bad shape (3, 4)" in failed
        assert re.search(r"demo +completed +\d+s ago .* a,b .* 0\.125", completed)

    def test_a_logged_value_is_marked(self, trained: Path) -> None:
        heading, first, _ = ask("runs", cwd=trained).out.splitlines()
        assert heading.split()[6:] == ["best", "train/loss", "acc", "phase"]
        assert re.search(r"0\.125 +0\.0001109\* +nan\* +main\*$", first)

    def test_json(self, trained: Path) -> None:
        failed, completed = ask("runs", "--json", cwd=trained).json()
        assert set(failed) == {
            *("run_id", "name", "status", "cause", "started_at", "finished_at", "last_seen_at", "duration_seconds"),
            *("tags", "notes", "config", "summary", "metrics", "git_info", "job_id", "path", "problems"),
        }
        assert (failed["status"], failed["cause"]["type"]) == ("failed", "ValueError")
        assert (completed["status"], completed["cause"]) == ("completed", None)
        assert completed["config"] == {"lr": 0.01, "model": {"name": "vit"}}
        assert completed["summary"] == {"best": 0.125}
        assert completed["metrics"]["acc"] == {"last": "NaN", "min": 0.0, "max": 0.98, "count": 51, "nonfinite": 1}
        assert Path(completed["path"]) == trained / ".whirr" / "runs" / completed["run_id"]

    def test_filters(self, trained: Path) -> None:
        def found(*words: str) -> list[str]:
            return [run["status"] for run in ask("runs", "--json", *words, cwd=trained).json()]

        assert found("--status", "failed") == ["failed"]
        assert found("--status", "failed", "--status", "completed") == ["failed", "completed"]
        assert found("--tag", "a", "--tag", "b") == ["failed", "completed"]
        assert found("--tag", "a", "--tag", "c") == []
        assert found("--name", "d*") == ["failed", "completed"]
        assert found("--name", "D*") == []
        assert found("--where", "config.lr>=0.01", "--where", "train/loss.max<=2", "--where", "cause~shape") == [
            "failed"
        ]
        assert found("--where", "best<0.1") == []
        assert found("--sort", "status") == ["completed", "failed"]
        assert found("--sort", "-status") == ["failed", "completed"]
        assert found("--sort", "status", "--reverse") == ["failed", "completed"]
        assert found("--reverse") == ["completed", "failed"]

    def test_limit(self, trained: Path) -> None:
        answer = ask("runs", "--limit", "1", cwd=trained)
        assert len(answer.rows()) == 1
        assert answer.err == "1 of 2 runs; --limit 0 shows all\n"
        answer = ask("runs", "--limit", "0", cwd=trained)
        assert (len(answer.rows()), answer.err) == (2, "")

    def test_none_fits(self, trained: Path) -> None:
        answer = ask("runs", "--status", "running", cwd=trained)
        assert (answer.code, answer.out, answer.err) == (0, "", "none of 2 runs fits\n")

    def test_columns(self, trained: Path) -> None:
        answer = ask("runs", "--columns", "name,config.model.name,best,acc.max,absent,status", cwd=trained)
        assert answer.err == "no run has absent\n"
        assert answer.out.splitlines()[0].split() == [
            "name",
            "config.model.name",
            "best",
            "acc.max",
            "absent",
            "status",
        ]
        assert answer.rows()[1].split() == ["demo", "vit", "0.125", "0.98", "completed"]

    def test_keys_that_no_run_has_are_told(self, trained: Path) -> None:
        answer = ask("runs", "--sort", "-nope", cwd=trained)
        assert (answer.code, len(answer.rows()), answer.err) == (0, 2, "no run has nope\n")
        answer = ask("runs", "--columns", "id,nope", "--status", "failed", cwd=trained)
        assert (answer.code, answer.err) == (0, "none of these runs has nope\n")
        assert ask("runs", "--columns", "job", "--sort", "lr", cwd=trained).err == ""

    def test_what_was_configured_is_not_rounded(self, tmp_path: Path) -> None:
        values = {"config": {"lr": 0.123456789}, "summary": {"best": 0.987654321}, "rows": [{"loss": 0.555555555}]}
        write_run(tmp_path / ".whirr", "r1", **values)
        answer = ask("runs", "--columns", "config.lr,lr,best,loss,loss.min", cwd=tmp_path)
        assert answer.rows()[0].split() == ["0.123456789", "0.123456789", "0.987654321", "0.5556", "0.5556"]
        assert len(ask("runs", "--where", "lr=0.123456789", cwd=tmp_path).rows()) == 1
        out = ask("show", "r1", cwd=tmp_path).out
        assert re.search(r"^  lr +0\.123456789$", out, re.M)
        assert re.search(r"^  best +0\.987654321$", out, re.M)
        assert re.search(r"^  loss +0\.5556 ", out, re.M)

    def test_a_pipe_gets_every_column(self, tmp_path: Path) -> None:
        write_run(tmp_path / ".whirr", "r1", summary={f"key{number}": number for number in range(40)})
        answer = ask("runs", cwd=tmp_path, COLUMNS="60")
        assert answer.out.split("\n")[0].split()[-40:] == [f"key{number}" for number in range(40)]
        assert answer.err == ""

    def test_a_long_text_does_not_break_the_table(self, tmp_path: Path) -> None:
        write_run(tmp_path / ".whirr", "r1", rows=[{"sample": "x" * 4800, "loss": 0.5}])
        for words in (["runs"], ["show", "r1"]):
            answer = ask(*words, cwd=tmp_path)
            assert "x…" in answer.out
            assert max(map(len, answer.out.splitlines())) < 200
        assert "x" * 4800 in ask("runs", "--columns", "id,sample", cwd=tmp_path).out

    @pytest.mark.parametrize("place", [".", ".whirr", "deep/er"])
    def test_the_place(self, trained: Path, tmp_path: Path, place: str) -> None:
        folder = trained / place
        folder.mkdir(parents=True, exist_ok=True)
        assert len(ask("runs", "--dir", str(folder), cwd=tmp_path).rows()) == 2
        assert len(ask("runs", cwd=folder).rows()) == 2

    def test_the_folder_of_the_environment(self, trained: Path, tmp_path: Path) -> None:
        assert len(ask("runs", cwd=tmp_path, WHIRR_DIR=str(trained / ".whirr")).rows()) == 2

    def test_broken_runs_are_listed(self, tmp_path: Path) -> None:
        write_run(tmp_path / ".whirr", "good")
        (write_run(tmp_path / ".whirr", "bad") / "meta.json").write_text("{")
        answer = ask("runs", cwd=tmp_path)
        assert answer.code == 0
        assert re.search(r"^bad +unknown !: meta.json is not JSON", answer.out, re.M)
        assert re.search(r"^good +completed", answer.out, re.M)

    def test_documents_of_the_wrong_kinds(self, tmp_path: Path) -> None:
        odd = {"name": {"x": 1}, "cause": "str", "git_info": [1], "status": {"a": 1}, "environment": 5, "tags": [[]]}
        odd |= {"duration_seconds": "x", "process": 1, "summary": "s", "job_id": {}, "dropped_records": "y"}
        write_run(tmp_path / ".whirr", "r1", **odd)
        write_run(tmp_path / ".whirr", "r2", git_info={"dirty": [1], "patch": 3, "commit": {}}, cause={"kind": []})
        fields = "id,name,status,cause,started,finished,duration,tags,job,commit,branch"
        for words in (["--columns", fields], ["--where", "cause~x"], ["--name", "x*"], ["--sort", "branch"], []):
            assert ask("runs", *words, cwd=tmp_path).code == 0
        for words in (["r1"], ["r2"], ["r1", "--json"]):
            assert ask("show", *words, cwd=tmp_path).code == 0
        run = next(run for run in ask("runs", "--json", cwd=tmp_path).json() if run["run_id"] == "r1")
        assert [run[key] for key in ("name", "status", "cause", "git_info")] == [None, "unknown", None, None]
        assert "meta.json: cause is not an object" in run["problems"]

    def test_damage_is_marked(self, tmp_path: Path) -> None:
        for name in ("good", "config", "garbage", "folder"):
            write_run(tmp_path / ".whirr", name, config={"lr": 1}, rows=[{"loss": 1}])
        runs = tmp_path / ".whirr" / "runs"
        (runs / "config" / "config.json").write_text("{")
        (runs / "garbage" / "metrics.jsonl").write_text('{"loss":1}\ngarbage\n')
        (runs / "folder" / "metrics.jsonl").unlink()
        (runs / "folder" / "metrics.jsonl").mkdir()
        for words in ([], ["--columns", "id,status"]):
            answer = ask("runs", *words, cwd=tmp_path)
            found = {row.split()[0]: bool(re.search(r" completed !(?= |$)", row)) for row in answer.rows()}
            assert found == {"good": False, "config": True, "garbage": True, "folder": True}
            assert re.fullmatch(r"3 runs have damaged files \(!\): whirr show \w+ tells\n", answer.err)
        listed = {run["run_id"]: len(run["problems"]) for run in ask("runs", "--json", cwd=tmp_path).json()}
        assert listed == {"good": 0, "config": 1, "garbage": 1, "folder": 1}
        assert "metrics.jsonl cannot be read: Is a directory" in ask("show", "folder", cwd=tmp_path).out

    def test_an_interrupted_and_a_killed_run(self, tmp_path: Path) -> None:
        cause = {"kind": "interrupt", "message": "interrupted (Ctrl-C)"}
        write_run(tmp_path / ".whirr", "stopped", status="failed", cause=cause)
        script = program(
            tmp_path / "kill.py",
            f"""
            import os, signal, whirr
            whirr.init({QUICK})
            os.kill(os.getpid(), signal.SIGKILL)
            """,
        )
        outputs(start([sys.executable, script], tmp_path))
        killed, stopped = ask("runs", "--columns", "status", cwd=tmp_path).rows()
        assert (killed, stopped) == ("failed: vanished (killed or crashed)", "failed: interrupted")
        assert re.search(r"^cause +its process vanished: killed", ask("show", "-", cwd=tmp_path).out, re.M)

    def test_a_summary_named_like_a_column(self, tmp_path: Path) -> None:
        write_run(tmp_path / ".whirr", "r1", name="n" * 30, summary={"name": 1, "id": 2, "status": 3})
        answer = ask("runs", cwd=tmp_path, COLUMNS="110")
        assert answer.rows()[0].split()[-3:] == ["1", "2", "3"]
        assert "n" * 30 in answer.out

    def test_names_cannot_steer_the_terminal(self, tmp_path: Path) -> None:
        write_run(tmp_path / ".whirr", "r1", name="a\x1b[2Jb\nc", summary={"x\x1b": "y\x1b"})
        for words in (["runs"], ["show", "-"]):
            answer = ask(*words, cwd=tmp_path)
            assert "\x1b" not in answer.out
            assert r"a\x1b[2Jb\nc" in answer.out

    def test_letters_that_the_output_cannot_hold(self, tmp_path: Path) -> None:
        write_run(tmp_path / ".whirr", "r1", name="größe")
        answer = ask("runs", cwd=tmp_path, PYTHONIOENCODING="ascii")
        assert (answer.code, r"gr\xf6\xdfe" in answer.out) == (0, True)

    def test_whoever_reads_may_leave(self, tmp_path: Path) -> None:
        for number in range(300):
            write_run(tmp_path / ".whirr", f"r{number}", summary={f"key{place}": "x" * 40 for place in range(20)})
        process = start([*WHIRR, "runs", "--limit", "0"], tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), errors) == (0, "")

    def test_a_full_disk_is_told(self, trained: Path) -> None:
        with open("/dev/full", "w") as full:
            command = [*WHIRR, "runs"]
            done = subprocess.run(command, cwd=trained, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (1, "error: cannot write the output: No space left on device\n")


class TestShow:
    def test_a_failed_run(self, trained: Path) -> None:
        answer = ask("show", "-", cwd=trained)
        assert (answer.code, answer.err) == (0, "")
        assert "\033" not in answer.out
        for wanted in (
            r"^local-\S+  demo$",
            r"^status +failed: ValueError: bad shape \(3, 4\)$",
            r"^tags +a, b$",
            r"^command .*train\.py fail$",
            r"^traceback$",
            r"^  ValueError: bad shape \(3, 4\)$",
            r"^  model\.name +vit$",
            r"^  best +0\.125$",
            r"^  train/loss +0\.0001109 +0\.0001109 +2 +50 +█",
            r"^  acc +nan +0 +0\.98 +51 +1 +▁",
            r"^train/loss  over step, log scale$",
            r"^ +└0 ─+ 49$",
            r"^  models/best\.bin  2\.0 kB$",
        ):
            assert re.search(wanted, answer.out, re.M), wanted

    def test_the_summary_and_what_is_derived_are_apart(self, trained: Path) -> None:
        out = ask("show", "-", cwd=trained).out
        summary, derived = out.split("\nsummary\n")[1].split("\nmetrics  (derived", 1)
        assert "best" in summary
        assert "acc" not in summary
        assert "best" not in derived.split("\nartifacts")[0]

    def test_json(self, trained: Path) -> None:
        run = ask("show", "-", "--json", cwd=trained).json()
        assert "ValueError: bad shape" in run["cause"]["traceback"]
        assert run["artifacts"] == [{"path": "models/best.bin", "size": 2048}]
        assert run["environment"]["command"][-1] == "fail"
        assert run["dropped_records"] == 0
        assert run["metrics"]["acc"]["count"] == 51

    def test_by_a_part_of_the_id(self, trained: Path) -> None:
        last = ask("runs", "--json", cwd=trained).json()[-1]["run_id"]
        for part in (last, last[:-3], last.rpartition("-")[2]):
            assert ask("show", part, cwd=trained).out.startswith(f"{last}  demo\nstatus    completed\n")

    def test_chosen_metrics(self, trained: Path) -> None:
        out = ask("show", "-", "--metric", "a*", cwd=trained).out
        assert "acc  over step" in out
        assert "train/loss" not in out
        answer = ask("show", "-", "--metric", "zzz", cwd=trained)
        assert (answer.code, answer.out) == (3, "")

    def test_a_long_traceback_is_cut_unless_asked_for(self, tmp_path: Path) -> None:
        lines = ["Traceback (most recent call last):", *(f"  line {number}" for number in range(30)), "ValueError: x"]
        cause = {"kind": "exception", "type": "ValueError", "message": "x", "traceback": "\n".join(lines)}
        write_run(tmp_path / ".whirr", "r1", status="failed", cause=cause)
        short = ask("show", "r1", cwd=tmp_path).out
        assert "line 29" in short
        assert "line 3\n" not in short
        assert "(26 lines more with --traceback)" in short
        whole = ask("show", "r1", "--traceback", cwd=tmp_path).out
        assert all(line in whole for line in lines)

    def test_ascii(self, trained: Path) -> None:
        answer = ask("show", "-", cwd=trained, PYTHONIOENCODING="ascii")
        assert answer.out.isascii()
        assert "\\u" not in answer.out
        assert re.search(r"train/loss .* #\S*_$", answer.out, re.M)

    def test_problems_of_files(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / ".whirr", "r1", dropped_records=7)
        (folder / "config.json").write_text("{")
        (folder / "metrics.jsonl").write_bytes(b'{"loss":1}\ngarbage\n{"loss":0.5}\n')
        out = ask("show", "r1", cwd=tmp_path).out
        assert "config.json is not JSON" in out
        assert "metrics.jsonl: lines that are no records: 1" in out
        assert "7 records could not be written and were dropped" in out

    def test_a_folder_with_nothing_in_it(self, tmp_path: Path) -> None:
        (tmp_path / ".whirr" / "runs" / "r1").mkdir(parents=True)
        answer = ask("show", "r1", cwd=tmp_path)
        assert (answer.code, "meta.json is missing" in answer.out) == (0, True)
        assert ask("show", "r1", "--json", cwd=tmp_path).json()["status"] == "unknown"

    def test_git_and_the_machine(self, tmp_path: Path) -> None:
        patch = {"file": "uncommitted.patch", "bytes": 4200}
        git = {
            "commit": "0123456789abcdef",
            "branch": "main",
            "dirty": True,
            "remote_url": "git@host:r",
            "patch": patch,
        }
        folder = write_run(tmp_path / ".whirr", "r1", git_info=git)
        sample = {"_timestamp": "t", "cpu_percent": 50, "process_memory_mb": 1000, "memory_percent": 3}
        gpus = [{"gpu_0_utilization": used, "gpu_0_memory_used": 8192} for used in (80, 100)]
        text = "".join(json.dumps({**sample, **gpu}) + "\n" for gpu in gpus)
        (folder / "system.jsonl").write_text(text + '{"_timestamp":')
        out = ask("show", "r1", cwd=tmp_path).out
        assert re.search(r"^git +0123456789, main, uncommitted changes$", out, re.M)
        assert re.search(r"^patch +uncommitted\.patch  4\.2 kB$", out, re.M)
        assert re.search(r"^machine +peak memory 1\.0 GB, mean CPU 50 %, GPU 0 mean 90 % \(peak 8\.6 GB\)$", out, re.M)
        use = ask("show", "r1", "--json", cwd=tmp_path).json()["system"]
        assert use["gpus"] == {"0": {"mean_utilization": 90.0, "peak_memory_mb": 8192}}


class TestTerminal:
    def see(self, words: list[str], cwd: Path, columns: int = 100, **variables: str) -> str:
        environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        environ |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", **variables}
        child = pexpect.spawn(
            WHIRR[0], [*WHIRR[1:], *words], cwd=str(cwd), env=environ, dimensions=(40, columns), encoding="utf-8"
        )
        text: str = child.read()
        child.close()
        assert child.exitstatus == 0
        return text.replace("\r\n", "\n")

    def test_colours_and_dots(self, trained: Path) -> None:
        text = self.see(["runs"], trained)
        assert "\033[31m● failed" in text
        assert "\033[32m● completed" in text

    @pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_no_colours_where_unwanted(self, trained: Path, variables: dict[str, str]) -> None:
        text = self.see(["runs"], trained, **variables)
        assert "\033" not in text
        assert "failed: Value" in text

    @pytest.mark.parametrize("columns", [60, 80, 100, 200])
    def test_lines_fit(self, trained: Path, columns: int) -> None:
        for words in (["runs"], ["show", "-"]):
            lines = self.see(words, trained, columns, NO_COLOR="1").splitlines()
            table = lines if words == ["runs"] else [line for line in lines if "█" in line or "┤" in line]
            assert table
            assert max(map(len, table)) <= columns

    def test_more_columns_on_a_wider_terminal(self, trained: Path) -> None:
        headings = [self.see(["runs"], trained, columns, NO_COLOR="1").split("\n")[0].split() for columns in (80, 200)]
        assert headings[0] == ["id", "name", "status", "started", "best"]
        assert headings[1][-4:] == ["best", "train/loss", "acc", "phase"]

    def test_columns_left_out_are_told(self, trained: Path) -> None:
        assert "5 more columns: --columns or a wider terminal\n" in self.see(["runs"], trained, 80, NO_COLOR="1")
        assert "more column" not in self.see(["runs"], trained, 80, NO_COLOR="1", COLUMNS="200")

    def test_what_is_not_finite_stays_on_a_narrow_terminal(self, trained: Path) -> None:
        text = self.see(["show", "-"], trained, 40, NO_COLOR="1")
        assert re.search(r"^  metric +last +nan/inf", text, re.M)


def test_the_index_lives_in_the_cache_folder(tmp_path: Path) -> None:
    write_run(tmp_path / ".whirr", "r1")
    first = ask("runs", cwd=tmp_path).out
    assert [path.name for path in (tmp_path / ".whirr" / "cache").iterdir()] == ["runs-index.2"]
    assert ask("runs", cwd=tmp_path).out == first


def test_listings_side_by_side_while_runs_come_and_go(tmp_path: Path) -> None:
    root = tmp_path / ".whirr"
    write_run(root, "kept")
    script = program(
        tmp_path / "listing.py",
        """
        import sys
        from pathlib import Path
        from whirr.index import RunIndex

        print("ready", flush=True)
        while not Path("stop").exists():
            index = RunIndex(Path(".whirr"))
            runs = {run.id: (run.status, dict(run.metrics)) for run in index.runs()}
            index.save()
            assert runs["kept"][0] == "completed", runs
        """,
    )
    listings = [start([sys.executable, script], tmp_path) for _ in range(4)]
    for listing in listings:
        assert listing.stdout is not None
        assert listing.stdout.readline() == "ready\n"
    for number in range(100):
        folder = write_run(root, f"r{number}", rows=[{"loss": number}])
        if number % 3 == 0:
            shutil.rmtree(folder)
    (tmp_path / "stop").touch()
    for listing in listings:
        assert (outputs(listing)[1], listing.returncode) == ("", 0)
    runs = ask("runs", "--limit", "0", "--json", cwd=tmp_path).json()
    wanted = {f"r{number}": number for number in range(100) if number % 3}
    assert {run["run_id"]: run["metrics"]["loss"]["last"] for run in runs if run["run_id"] != "kept"} == wanted
    assert all(run["problems"] == [] for run in runs)
