"""What a run was started from: the state of git, the installed packages, the command and its host.

Every function here answers within its time limit, never raises, and leaves what it looks at as it was.
They are meant for a background thread of the training process: the work is done by the kernel and by git,
little of it under the interpreter's lock.
"""

from __future__ import annotations

from whirr.capture.git import git_info
from whirr.capture.host import environment, gpus
from whirr.capture.packages import packages

__all__ = ["environment", "git_info", "gpus", "packages"]
