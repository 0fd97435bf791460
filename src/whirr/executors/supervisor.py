"""The supervisor: one small process between a worker and one attempt at a job.

It starts the job's process (the leader), waits for it, stops what it started, and does not end before nothing of that
is left. It is a subreaper: whatever loses its parent below it becomes its own child, so that having no children is the
proof that no process of the job is left. ``ProcessExecutor`` runs this module as a program of its own, by ``python -I
-S``: it uses nothing of whirr, and of the standard library only what is cheap to load. ``serve`` tells the protocol.
"""

from __future__ import annotations

# The C modules below json, socket and signal: those load enum, selectors and re, 4 MB and 15 ms a supervisor.
import _json
import _socket
import ctypes
import marshal
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn
else:
    import _signal

STOP, PULSE, STARTED, ENDED = "stop", "pulse", "started", "ended"
WORKER_LOST, LEASE_LOST, TIME_LIMIT, SHUTDOWN = "worker-lost", "lease-lost", "time-limit", "shutdown"
COMMAND_NOT_FOUND, NOT_EXECUTABLE, WORKDIR_MISSING = "command-not-found", "not-executable", "workdir-missing"
START_FAILED, SUPERVISOR_LOST = "start-failed", "supervisor-lost"
RUNNING, SETTLING, STOPPING, KILLING = range(4)

PLACEHOLDER_SIZE = 4096  # bytes of the file that becomes the result; what is written into it is never longer
LEFTOVER_GRACE_S = 2.0  # from SIGTERM to SIGKILL, at most, for processes that outlived the leader
SETTLE_S = 0.1  # in which what outlived the leader may end by itself: helpers see a closed pipe a moment later
ROUND_S = 0.02  # between two rounds of SIGKILL
LONGEST_WAIT_S = 1.0  # between two looks at a deadline: it counts the time a machine sleeps, poll() does not
PACKET, NEVER = 2**16, float("inf")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, ENOEXEC = 1, 36, 8
OOM_SCORE = "/proc/self/oom_score_adj"
LIBC = ctypes.CDLL(None, use_errno=True)


def boot_clock() -> float:
    """Seconds since boot, sleep included: the clock of all deadlines here and in the worker."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def stamp() -> str:
    """The present moment as ``whirr.clock.stamp`` writes it."""
    seconds, rest = divmod(time.time_ns() // 1000, 10**6)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:06d}Z"


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; raises OSError when the kernel refuses."""
    if LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


class Refused(Exception):
    """The job's program cannot be started: kind and message."""


def quietly(call: Callable[..., object], *arguments: object) -> None:
    """Do what may fail without harm."""
    try:  # noqa: SIM105, contextlib is dear
        call(*arguments)
    except OSError:
        pass


class Process:
    """A line of the process table.

    Attributes:
        key: pid and start time in clock ticks since boot; unlike the pid alone, never given out again.
        ended: it is a zombie.
    """

    __slots__ = ("ended", "group", "key", "parent", "pid", "session", "start")

    def __init__(self, pid: int, stat: bytes) -> None:
        fields = stat.rpartition(b")")[2].split()  # the name in brackets may hold anything
        self.pid, self.ended = pid, fields[0] in (b"Z", b"X")
        self.parent, self.group, self.session = map(int, fields[1:4])
        self.start = int(fields[19])
        self.key = (pid, self.start)


def lookup(pid: int) -> Process | None:
    """The process that has this pid now, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return Process(pid, file.read())
    except OSError:
        return None


def processes() -> Iterator[Process]:
    """Every process there is, newest first: one that forks and ends without cease is soon another."""
    for name in reversed(os.listdir("/proc")):
        found = lookup(int(name)) if name.isdigit() else None
        if found is not None:
            yield found


def descendants(root: int) -> list[Process]:
    """The processes below ``root``, zombies too; one that changes its parent meanwhile may be missed."""
    children: dict[int, list[Process]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process)
    found, todo = list[Process](), [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += [process.pid for process in below]
    return found


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            mask = next(int(line.split()[1], 16) for line in file if line.startswith(b"SigCgt:"))
            return bool(mask >> (number - 1) & 1)
    except (OSError, StopIteration):  # gone
        return False


def send_signal(process: Process, number: int) -> None:
    """Signal exactly this process: the pidfd holds on to whoever has its pid, the start time tells who that is."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:  # gone
        return
    now = lookup(process.pid)
    if now is not None and now.key == process.key:
        quietly(_signal.pidfd_send_signal, handle, number)
    os.close(handle)


def signal_name(number: int) -> str:
    """Such as ``SIGKILL``; the first of several names by the alphabet."""
    names = (name for name in dir(_signal) if name.startswith("SIG") and name[3] != "_")
    return next((name for name in names if getattr(_signal, name) == number), f"SIG{number}")


def as_json(value: object) -> str:
    """Strict JSON of texts, numbers, None and dicts of these."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(key)}: {as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return _json.encode_basestring_ascii(value.encode("utf-8", "backslashreplace").decode())
    return repr(value)


class Supervisor:
    """One attempt, from the assignment to the report; the descriptor of its lock stays open until this process ends.

    Args:
        control: the socket to the worker.
        task: the assignment, see ``process.assignment``.
        output: descriptor that becomes the job's stdout and stderr.
        result: descriptor of the placeholder.
    """

    def __init__(self, control: _socket.socket, task: dict[str, Any], output: int, result: int) -> None:
        self.control: _socket.socket | None = control
        self.poller = select.poll()
        self.poller.register(control, select.POLLIN)
        self.task, self.output, self.result = task, output, result
        self.phase = RUNNING
        self.pid: int | None = None
        self.leader_alive = False
        self.reason: str | None = None
        self.warn_at = self.limit_at = self.lease_at = self.kill_at = self.settled_at = NEVER
        self.killed: set[tuple[int, int]] = set()
        self.cpu_s, self.max_rss_bytes, self.began = 0.0, 0, time.monotonic()
        self.ending: dict[str, Any] = {"started_at": None, "leftovers": 0}

    def run(self) -> None:
        """Do all of it; returns when no process of the job is left and the result is written and reported."""
        try:
            self.prepare()
            self.take_orders()
            if self.reason is None:
                self.start()
            self.watch()
        except Exception as error:  # a fault of this program must not leave processes behind either
            self.fail(SUPERVISOR_LOST, f"the supervisor failed: {error!r}")
            while self.reap():
                self.kill()
                time.sleep(ROUND_S)
        self.report()

    def fail(self, kind: str, message: str) -> None:
        """Note why there is no exit code; of a long text, for the placeholder, the beginning and the end."""
        text = message.encode("utf-8", "backslashreplace").decode()  # a path may be none
        self.ending.update(error=kind, message=text if len(text) <= 300 else f"{text[:150]} ... {text[-145:]}")

    def prepare(self) -> None:
        """Become a subreaper, hear signals by a pipe, and ask the kernel to spare this process when memory runs out."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.signals, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
            _signal.signal(number, lambda *_: None)
        with open(OOM_SCORE, "rb") as file:
            self.oom_score = file.read()
        quietly(write_oom_score, b"-1000")
        self.poller.register(self.signals, select.POLLIN)

    def start(self) -> None:
        """Start the leader, or note why it cannot be."""
        told, tell = os.pipe()
        self.began, now = time.monotonic(), boot_clock()
        self.ending["started_at"] = stamp()
        if (pid := os.fork()) == 0:
            self.become_leader(tell)
        os.close(tell)
        with open(told, "rb") as pipe:
            refusal = pipe.read()  # nothing: exec closed it
        if refusal:
            self.fail(*marshal.loads(refusal))
            return
        self.pid, self.leader_alive = pid, True
        self.warn_at, self.limit_at = now + self.task["warn_after_s"], now + self.task["timeout_s"]
        self.tell(STARTED, pid, self.ending["started_at"])

    def become_leader(self, tell: int) -> NoReturn:
        """In the forked child: a new session, all as in a fresh process (no signal is blocked here), the program."""
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
            if os.getppid() != self.task["supervisor"]:  # it died before the line above
                os._exit(1)
            _signal.set_wakeup_fd(-1)
            for number in set(range(1, _signal.NSIG)) - {_signal.SIGKILL, _signal.SIGSTOP}:
                quietly(_signal.signal, number, _signal.SIG_DFL)  # two are the C library's own
            quietly(write_oom_score, self.oom_score)
            os.dup2(self.output, 1)
            os.dup2(self.output, 2)
            execute(self.task)
        except Refused as refusal:
            os.write(tell, marshal.dumps(refusal.args))
        except BaseException as error:
            os.write(tell, marshal.dumps((START_FAILED, f"the job cannot be started: {error}")))
        finally:
            os._exit(127)

    def watch(self) -> None:
        """Wait for events and deadlines until nothing of the tree is left."""
        while self.reap():
            self.poller.poll(self.patience_ms())
            self.take_signals()
            self.take_orders()
            self.meet_deadlines()

    def reap(self) -> bool:
        """Take in who has ended; whether any process of the tree is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.cpu_s += usage.ru_utime + usage.ru_stime
            self.max_rss_bytes = max(self.max_rss_bytes, usage.ru_maxrss * 1024)
            if pid == self.pid and self.leader_alive:
                self.leader_ended(status)

    def leader_ended(self, status: int) -> None:
        """Note how; what it left behind gets a moment to end by itself."""
        self.leader_alive, self.warn_at, self.limit_at = False, NEVER, NEVER
        if os.WIFEXITED(status):
            self.ending["exit_code"] = os.WEXITSTATUS(status)
        else:
            self.ending["signal"] = signal_name(os.WTERMSIG(status))
        if self.phase == RUNNING:
            self.phase, self.settled_at = SETTLING, boot_clock() + SETTLE_S

    def patience_ms(self) -> int | None:
        """Milliseconds to wait for an event at most; None: any time."""
        if self.phase == KILLING:
            return int(ROUND_S * 1000)
        next_at = min(self.warn_at, self.limit_at, self.lease_at, self.settled_at, self.kill_at)
        if next_at == NEVER:
            return None
        return int(min(max(next_at - boot_clock(), 0), LONGEST_WAIT_S) * 1000) + 1

    def take_signals(self) -> None:
        """Take in the signals sent to this process: being asked to end is a stop of the job."""
        try:
            numbers = os.read(self.signals, PACKET)
        except BlockingIOError:
            return
        if set(numbers) & {_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP}:
            self.stop(SHUTDOWN, self.task["grace_s"])

    def take_orders(self) -> None:
        """Take in what the worker says, all of it: a deadline counts only after every pulse that was sent."""
        while self.control is not None:
            try:
                packet = self.control.recv(PACKET, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:  # told once; what was sent before is still to be read
                continue
            if not packet:
                self.poller.unregister(self.control)
                self.control.close()
                self.control = None
                self.stop(WORKER_LOST, self.task["grace_s"])
                return
            verb, *words = marshal.loads(packet)
            if verb == STOP:
                self.stop(*words)
            elif verb == PULSE:
                self.lease_at = NEVER if words[0] is None else words[0]

    def meet_deadlines(self) -> None:
        """Do what is due."""
        now = boot_clock()
        if now >= self.lease_at:
            self.lease_at = NEVER
            self.stop(LEASE_LOST, self.task["grace_s"])
        if now >= self.limit_at and self.phase == RUNNING:
            self.stop(TIME_LIMIT, self.task["grace_s"])
        if now >= self.warn_at:
            self.warn()
        if now >= self.settled_at and self.phase == SETTLING:
            self.ending["leftovers"] = sum(not process.ended for process in descendants(os.getpid()))
            self.terminate(min(self.task["grace_s"], LEFTOVER_GRACE_S))
        if now >= self.kill_at:
            self.phase, self.kill_at = KILLING, NEVER
            self.killed.update(process.key for process in descendants(os.getpid()) if not process.ended)
        if self.phase == KILLING:
            self.kill()

    def stop(self, reason: str, grace_s: float) -> None:
        """Begin to stop the tree, or hasten that; the reason is the first one, and none if the leader ended before."""
        if self.phase == RUNNING:
            self.reason = reason
            self.warn()
        if self.phase in (RUNNING, SETTLING):
            self.terminate(grace_s)
        elif self.phase == STOPPING:
            self.kill_at = min(self.kill_at, boot_clock() + grace_s)

    def warn(self) -> None:
        """Send the warning signal, once, to the topmost processes that handle it; it would end any other."""
        number, self.warn_at = self.task["warn_signal"], NEVER
        leader = lookup(self.pid) if self.pid is not None and self.leader_alive else None
        if leader is None or number is None:
            return
        self.task["warn_signal"] = None
        covered: set[int] = set()
        for process in (leader, *descendants(leader.pid)):
            if process.parent in covered:  # below one that was told: that one knows what to do
                covered.add(process.pid)
            elif catches(process.pid, number):
                covered.add(process.pid)
                send_signal(process, number)
                send_signal(process, _signal.SIGCONT)

    def terminate(self, grace_s: float) -> None:
        """SIGTERM to what exists now: a process started later may be the one that tidies up."""
        tick = int((begun := boot_clock()) * os.sysconf("SC_CLK_TCK"))
        self.phase, self.kill_at = STOPPING, begun + grace_s
        self.limit_at = self.warn_at = self.settled_at = NEVER
        told, had, root = set[tuple[int, int]](), set[int](), os.getpid()
        # What handles the signal and has had it starts others because of it, perhaps within the same tick.
        while new := [p for p in descendants(root) if p.key not in told and p.start <= tick - (p.parent in had)]:
            had.update(process.pid for process in new if catches(process.pid, _signal.SIGTERM))
            for process in new:
                told.add(process.key)
                send_signal(process, _signal.SIGTERM)
                send_signal(process, _signal.SIGCONT)  # a stopped one could not act on it

    def kill(self) -> None:
        """One round of SIGKILL to every child and its group; what is left below them then becomes a child."""
        for process in processes():
            if process.parent == os.getpid() and not process.ended:
                self.killed.add(process.key)
                # Nobody can fork past a signal to its group. Both numbers are a child's own until it is waited for.
                if process.group != os.getpgrp():
                    quietly(os.killpg, process.group, _signal.SIGKILL)
                quietly(os.kill, process.pid, _signal.SIGKILL)

    def report(self) -> None:
        """The result to disk, the lock file away, then the news to the worker."""
        self.ending.update(
            reason=self.reason,
            pid=self.pid,
            finished_at=stamp(),
            duration_s=round(time.monotonic() - self.began, 6),
            cpu_s=round(self.cpu_s, 6),
            max_rss_bytes=self.max_rss_bytes,
            killed=len(self.killed),
            **self.task["noted"],
        )
        quietly(self.write_result)  # where that fails the worker is still told
        quietly(os.unlink, self.task["lock"])
        self.tell(ENDED, self.ending)

    def write_result(self) -> None:
        """Overwrite the placeholder in place, which needs no room on a full disk, and name it wherever it is now."""
        text = as_json(self.ending).encode() + b"\n"
        os.pwrite(self.result, text, 0)
        os.ftruncate(self.result, len(text))
        os.fsync(self.result)
        os.rename(there := os.readlink(b"/proc/self/fd/%d" % self.result), os.path.dirname(there) + self.task["result"])

    def tell(self, *words: Any) -> None:
        """Send the worker a message; it may be gone."""
        if self.control is not None:
            quietly(self.control.send, marshal.dumps(words), _socket.MSG_DONTWAIT)


def write_oom_score(score: bytes) -> None:
    """Set how readily the kernel kills this process for memory; raises OSError without the right to lower it."""
    with open(OOM_SCORE, "wb", buffering=0) as file:
        file.write(score)


def execute(task: dict[str, Any]) -> NoReturn:
    """Become the job's program.

    Raises:
        Refused: its folder is gone, or there is no such program or none that may be run.
    """
    try:
        os.chdir(task["cwd"])
    except OSError as error:
        raise Refused(WORKDIR_MISSING, f"cannot work in {os.fsdecode(task['cwd'])}: {error.strerror}") from None
    denied: bytes | None = None
    for path in candidates(task):
        try:
            os.execve(path, task["argv"], task["env"])
        except (FileNotFoundError, NotADirectoryError):
            if os.path.exists(path):
                raise Refused(NOT_EXECUTABLE, f"{os.fsdecode(path)} names an interpreter that is missing") from None
        except PermissionError:
            denied = path
        except OSError as error:
            kind = NOT_EXECUTABLE if error.errno == ENOEXEC else START_FAILED
            raise Refused(kind, f"{os.fsdecode(path)} cannot be run: {error.strerror}") from None
    if denied is not None:
        raise Refused(NOT_EXECUTABLE, f"{os.fsdecode(denied)} may not be run: permission denied")
    raise Refused(COMMAND_NOT_FOUND, f"there is no command {os.fsdecode(task['executable'] or task['argv'][0])}")


def candidates(task: dict[str, Any]) -> list[bytes]:
    """The files that the job's command may mean, in order."""
    if task["executable"] is not None:
        return [task["executable"]]
    name: bytes = task["argv"][0]
    if b"/" in name:
        return [name]
    folders = task["env"].get(b"PATH", os.fsencode(os.defpath)).split(b":")
    return [os.path.join(folder or b".", name) for folder in folders]


def serve(control: _socket.socket) -> None:
    """Wait for an assignment and carry it out; returns at once when the worker goes without giving one.

    The first packet carries four descriptors: a file in memory with the assignment (``process.assignment``), the
    output, the placeholder and the lock. Later the worker sends ``stop`` (reason, grace in seconds) and ``pulse``
    (the moment on the boot clock at which to stop unless another pulse came, or None), and is sent ``started``
    (pid, stamp) and ``ended`` (see ``Ending``). The end of the connection is the end of the worker.
    """
    first, ancillary, _, _ = control.recvmsg(PACKET, _socket.CMSG_SPACE(4 * 4), _socket.MSG_CMSG_CLOEXEC)
    if not first:
        return
    data = ancillary[0][2]
    memory, output, result, _lock = (int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4))
    task = marshal.loads(os.pread(memory, os.fstat(memory).st_size, 0))
    os.close(memory)
    task["supervisor"] = os.getpid()
    Supervisor(control, task, output, result).run()


def main() -> None:
    """The program."""
    control = _socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    os.closerange(3, control.fileno())  # what the worker let slip must not reach the job
    os.closerange(control.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    serve(control)


if __name__ == "__main__":
    main()
