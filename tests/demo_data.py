"""What made-up training runs log: curves, console output, samples of a machine, work in progress, pictures."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from whirr import clock

LAST_STEP = 61_240
EPOCHS = 70
EVALUATED_EVERY = 10
OPTIMIZERS = (("adamw", 8, 0.745), ("lion", 8, 0.80), ("sgd", 6, 0.90))
MODELS = ("convnext-t", "vit-s", "resnet50", "resnet18")
FURTHER = ("val/top5", "train/grad_norm", "train/throughput", "tokens", "epoch")
SCALARS = tuple(f"layer/{number:02d}/act_norm" for number in range(500))
FATAL = "CUDA error: an illegal memory access was encountered"
LINE = orjson.OPT_APPEND_NEWLINE

RESET, GREY, BLUE, GREEN, YELLOW, RED, MAGENTA = (
    f"\x1b[{code}m" for code in ("0", "90", "34", "32", "33", "1;31", "35")
)


class Trial(NamedTuple):
    """One training of a sweep.

    Attributes:
        end: how it ended: completed, running, failed, killed, cancelled.
        share: how much of the training it did.
        age_s: seconds since it ended; of a running one since it logged last.
        best: how well its optimizer does: where its loss ends.
    """

    number: int
    sweep: str
    model: str
    optimizer: str
    lr: float
    batch_size: int
    weight_decay: float
    dropout: float
    best: float
    end: str
    share: float
    age_s: float

    @property
    def name(self) -> str:
        return f"{self.model} · {self.optimizer} · {self.number}"

    @property
    def duration_s(self) -> float:
        return 9000.0 * self.share * (1 + self.number % 5 / 8)

    @property
    def config(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "batch_size": self.batch_size,
            "weight_decay": self.weight_decay,
            "dropout": self.dropout,
            "epochs": EPOCHS,
            "seed": self.number,
            "data": {"name": "imagenet-mini", "augment": {"mixup": 0.2, "crop": [176, 224]}},
        }


def trials(count: int) -> list[Trial]:
    """The newest first: the 22 of sweep-7 with every kind of ending, then those of earlier sweeps."""
    names = [(optimizer, best) for optimizer, share, best in OPTIMIZERS for _ in range(share)]
    made = []
    for place in range(count):
        optimizer, best = names[place % len(names)]
        random = np.random.default_rng(1000 + place)
        sweep = 7 - place // len(names)
        end = _end(place, sweep)
        made.append(
            Trial(
                19 + place,
                f"sweep-{max(sweep, 1)}",
                MODELS[int(random.integers(len(MODELS)))],
                optimizer,
                float(f"{10 ** (-4 + 1.5 * random.random()):.2g}"),
                int(64 * 2 ** random.integers(4)),
                float(f"{0.01 * 10 ** random.random():.2g}"),
                float(random.choice([0.0, 0.1, 0.2])),
                best,
                end,
                1.0 if end == "completed" else 0.68 if end == "running" else 0.35 + 0.1 * (place % 5),
                0.0 if end == "running" else 120.0 + 1900.0 * place + 40.0 * place * place,
            )
        )
    return made


def _end(place: int, sweep: int) -> str:
    special = {0: "running", 5: "running", 13: "running", 3: "failed", 18: "killed", 20: "cancelled"}
    if sweep == 7 and place in special:
        return special[place]
    return "failed" if sweep < 7 and place % 17 == 0 else "completed"


def rows(trial: Trial, count: int, metrics: int, until: float) -> bytes:
    """The content of its ``metrics.jsonl``.

    Args:
        count: records of a whole training.
        metrics: how many names it logs; the first four are always there.
        until: when it logged last, seconds since 1970.
    """
    count = max(int(count * trial.share), 1)
    random = np.random.default_rng(trial.number)
    place = np.linspace(0, trial.share, count)
    steps = np.rint(place * LAST_STEP).astype(int)
    floor = trial.best + 0.16 * abs(math.log10(trial.lr) + 3.1)
    drift = np.cumsum(random.normal(0, 0.004, count))
    drift -= np.linspace(0, drift[-1], count)
    smooth = floor + 2.25 * np.exp(-(3.4 + 2.6 * random.random()) * place**0.55) + drift
    raw = smooth + random.normal(0, 0.03, count) * (1.1 - place * 0.6)
    columns: dict[str, np.ndarray] = {
        "train/loss": raw * 1.06 + random.normal(0, 0.06, count),
        "train/lr": trial.lr * np.minimum(1, place * 20) * 0.5 * (1 + np.cos(np.pi * place)),
        "val/loss": raw,
        "val/acc": np.clip(0.985 - 0.225 * smooth, 0.01, 1),
        "val/top5": np.clip(1.04 - 0.14 * smooth, 0.02, 1),
        "train/grad_norm": np.exp(random.normal(0.4, 0.35, count)) * (1 + 2 * np.exp(-6 * place)),
        "train/throughput": 1950 + random.normal(0, 25, count),
        "tokens": steps * trial.batch_size * 196,
        "epoch": np.floor(place * EPOCHS).astype(int),
    }
    if trial.number % 3 == 0:
        columns["train/loss"][[count // 3, 2 * count // 3]] = 8.5, 11.2
    names = ["train/loss", "train/lr", "val/loss", "val/acc", *FURTHER, *SCALARS][: max(metrics, 4)]
    for place_of, name in enumerate(names):
        if name not in columns:
            columns[name] = 1 + 0.02 * place_of + 0.2 * np.sin(place * 9 + place_of) + random.normal(0, 0.02, count)
    moments = np.linspace(until - trial.duration_s, until, count)
    return b"".join(_lines({name: columns[name].tolist() for name in names}, steps.tolist(), moments.tolist(), trial))


def _lines(columns: dict[str, list[Any]], steps: list[int], moments: list[float], trial: Trial) -> Iterator[bytes]:
    last = len(steps) - 1
    for index, (step, moment) in enumerate(zip(steps, moments, strict=True)):
        record: dict[str, Any] = {"_idx": index, "_timestamp": clock.stamp(clock.at(moment)), "step": step}
        evaluated = index % EVALUATED_EVERY == 0 or index == last
        record |= {name: values[index] for name, values in columns.items() if evaluated or name[:3] != "val"}
        if trial.end == "failed" and index > last - 3:
            record |= {"train/loss": None, "_nonfinite": {"train/loss": "nan"}}
        yield orjson.dumps(record, option=LINE)


def samples(trial: Trial, busy_gpus: int, gpus: int, until: float, count: int = 240) -> bytes:
    """The content of its ``system.jsonl``, on a machine with some GPUs, the first of which are its own."""
    random = np.random.default_rng(trial.number)
    lines = []
    for place, moment in enumerate(np.linspace(until - trial.duration_s, until, count).tolist()):
        stalled = 0.35 < place / count < 0.37
        record: dict[str, Any] = {
            "_timestamp": clock.stamp(clock.at(moment)),
            "cpu_percent": round(38 + 6 * random.random(), 1),
            "memory_percent": round(41 + 8 * place / count, 1),
            "process_cpu_percent": round(1180 + 90 * random.random(), 1),
            "process_memory_mb": round(42_000 + 2_000 * place / count),
            "process_count": 17,
            "disk_read_mb_s": round(180 + 40 * random.random(), 1),
            "network_receive_mb_s": round(12 + 3 * random.random(), 1),
        }
        for gpu in range(gpus):
            own = gpu < busy_gpus
            busy = 6 if place < 4 else 31 if stalled else 93 + 5 * math.sin(place / 3 + gpu) + 2 * random.random()
            busy = busy if own else 0
            record |= {
                f"gpu_{gpu}_utilization": min(round(busy), 100),
                f"gpu_{gpu}_memory_used": 72_704 if own and place > 4 else 2_048,
                f"gpu_{gpu}_memory_total": 81_920,
                f"gpu_{gpu}_temperature": round(
                    (50 if own else 30) + 18 * (1 - math.exp(-place / 18)) * own + random.random()
                ),
                f"gpu_{gpu}_power": round(640 + 40 * random.random()) if own and not stalled else 180,
            }
        lines.append(orjson.dumps(record, option=LINE))
    return b"".join(lines)


def output(trial: Trial, until: float, lines: int = 120) -> bytes:
    """The content of its ``output.log``, in colours, with a progress bar that draws over itself."""
    told = [f"{BLUE}INFO{RESET}  {trial.name}: lr {trial.lr:.1e}, batch {trial.batch_size}, 4 x H100"]
    random = np.random.default_rng(trial.number)
    last = int(LAST_STEP * trial.share)
    for place in range(lines):
        step = round(last * (place + 1) / lines)
        moment = clock.at(until - (lines - place) * 12).strftime("%H:%M:%S")
        loss = trial.best + 2 * math.exp(-5 * step / LAST_STEP) + 0.02 * random.random()
        head = f"{GREY}{moment}{RESET}"
        if place % 9 == 8:
            told.append(f"{head} {YELLOW}WARN{RESET}  grad norm {YELLOW}{5 + 9 * random.random():.2f}{RESET} clipped")
        elif place % 7 == 6:
            accuracy = 0.985 - 0.225 * loss
            told.append(
                f"{head} {MAGENTA}EVAL{RESET}  val/loss {GREEN}{loss:.4f}{RESET} val/acc {GREEN}{accuracy:.4f}{RESET}"
                " ★ new best → saved best.pt (112 MB)"
            )
        else:
            epoch = int(EPOCHS * step / LAST_STEP)
            told.append(
                f"{head} {BLUE}INFO{RESET}  epoch {epoch}/{EPOCHS}  step {step:,}  loss {GREEN}{loss:.4f}{RESET}"
                f"  lr {trial.lr * (1 - step / LAST_STEP):.1e}  {1900 + int(60 * random.random()):,} img/s"
            )
    text = "\n".join(told) + "\n"
    if trial.end == "running":
        bars = (f"\r{share:3d}% |{GREEN}{'█' * (share // 4):25}{RESET}| {share * 12}/1251" for share in range(40, 48))
        text += "".join(bars)
    elif trial.end == "failed":
        text += f"{RED}{traceback(trial)}{RESET}"
    return text.encode()


def traceback(trial: Trial) -> str:
    """What Python says of the exception that ends a failed one, to its last line."""
    return (
        "Traceback (most recent call last):\n"
        '  File "train.py", line 212, in <module>\n    main(parse())\n'
        '  File "train.py", line 187, in main\n    loss.backward()\n'
        f'  File "engine/{trial.optimizer}.py", line 61, in step\n    self._update(group, grads)\n'
        f"RuntimeError: {FATAL}\n"
    )


def patch(trial: Trial) -> bytes:
    """Uncommitted work, in which the optimizers differ."""
    return f"""diff --git a/train.py b/train.py
index 3f1c2aa..9e0d4b7 100644
--- a/train.py
+++ b/train.py
@@ -41,7 +41,8 @@ def build(args):
     model = timm.create_model(args.model, drop_rate=args.dropout)
-    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
+    optimizer = {trial.optimizer}(model.parameters(), lr=args.lr, weight_decay={trial.weight_decay})
+    optimizer.clip = 1.0
     return model, optimizer
diff --git a/engine/{trial.optimizer}.py b/engine/{trial.optimizer}.py
new file mode 100644
index 0000000..b3a1f02
--- /dev/null
+++ b/engine/{trial.optimizer}.py
@@ -0,0 +1,3 @@
+class {trial.optimizer.title()}:
+    def step(self, group, grads):
+        self._update(group, grads)
""".encode()


def picture(width: int = 64, height: int = 48, shade: int = 0) -> bytes:
    """A PNG of coloured bands."""
    lines = b"".join(
        b"\0" + bytes(value for column in range(width) for value in (column * 4 % 256, row * 5 % 256, shade % 256))
        for row in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def grid_rows(steps: int, names: Sequence[str], seed: int, began: float) -> bytes:
    """Records of one step a second with a few falling curves, made as fast as can be."""
    random = np.random.default_rng(seed)
    place = np.arange(steps) / max(steps, 1)
    values = [(1 + 2 * np.exp(-5 * place) + random.normal(0, 0.05, steps)).tolist() for _ in names]
    heads = [f'{{"_idx":%d,"_timestamp":"%s","step":%d,"{names[0]}":%.6f']
    form = heads[0] + "".join(f',"{name}":%.6f' for name in names[1:]) + "}\n"
    moments = np.datetime_as_string(
        np.datetime64(int(began * 1e6), "us") + np.arange(steps) * np.timedelta64(1_000_000, "us"), unit="us"
    ).tolist()
    lines = zip(range(steps), moments, range(steps), *values, strict=True)
    return "".join([form % (index, f"{moment}Z", step, *found) for index, moment, step, *found in lines]).encode()
