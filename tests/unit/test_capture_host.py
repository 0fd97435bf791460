"""What is known of the command and the machine."""

from __future__ import annotations

import os
import platform
import sys

import orjson

from whirr.capture import environment


def test_the_environment_is_plain_and_true() -> None:
    found = environment(with_gpus=False)
    assert orjson.loads(orjson.dumps(found)) == found
    assert found["command"][0] == sys.orig_argv[0]
    assert found["python"] == platform.python_version()
    assert found["executable"] == sys.executable
    assert found["host"] == platform.node()
    assert (found["pid"], found["cwd"]) == (os.getpid(), os.getcwd())
    assert found["cpu_count"] == os.cpu_count()
    assert 0 < found["cpus_usable"] <= found["cpu_count"]
    assert found["memory_total_bytes"] > 1 << 20


def test_launchers_are_told_by_their_variables() -> None:
    environ = {"SLURM_JOB_ID": "7", "RANK": "3", "AWS_SECRET_ACCESS_KEY": "x", "CUDA_VISIBLE_DEVICES": "0,2"}
    found = environment(environ=environ, with_gpus=False)
    assert found["launcher"] == {"SLURM_JOB_ID": "7", "RANK": "3"}
    assert found["cuda_devices"] == {"visible": "0,2"}
    assert environment(environ={"KUBERNETES_SERVICE_HOST": "x"}, with_gpus=False)["container"] == "kubernetes"
    assert environment(environ={"LOGNAME": "ada"}, with_gpus=False)["user"] == "ada"
    assert environment(environ={}, with_gpus=False)["user"]


def test_secrets_in_the_command_are_hidden() -> None:
    argv = ["python", "train.py", "--hub-token", "abc"]
    assert environment(argv=argv, with_gpus=False)["command"] == ["python", "train.py", "--hub-token", "***"]
