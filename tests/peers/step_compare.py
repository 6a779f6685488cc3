#!/usr/bin/env python3
"""Holds a training step of `yoke bench step` against PyTorch on the same machine, in turn.

    python3 tests/peers/step_compare.py --setup /tmp/peers-venv     makes a virtual environment with PyPI's newest torch
    python3 tests/peers/step_compare.py --venv /tmp/peers-venv      compares, also with Debian's python3-torch

In a round every contestant (Yoke, and each PyTorch in each mode and environment) runs once, in a process of its own.
What cannot run is named with its reason and left out. README.md here says how to read the tables.
"""
import argparse
import datetime
import fcntl
import glob
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field


def processor():
    """What the system says of the first processor."""
    with open("/proc/cpuinfo", encoding="ascii") as f:
        lines = f.read().split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, value in (line.split(":", 1) for line in lines)}


VOCAB = {"gpt2-124m": 50304, "llama-34m": 16384}
MODES = ["fp32", "fp32-compiled", "fp32-compiled-plain", "bf16", "bf16-compiled", "bf16-compiled-plain"]
CORES = len(os.sched_getaffinity(0))
PASSED_ON = ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"]  # nothing else: no contestant is tuned unawares
INSTALLED = "installed"
ATEN = {"ATEN_CPU_CAPABILITY": "avx512"} if "avx512f" in processor().get("flags", "") else {}
TUNED = {"OMP_NUM_THREADS": str(CORES), **ATEN}
JEMALLOC = {"LD_PRELOAD": "libjemalloc.so.2", "MALLOC_CONF": "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"}
ENVIRONMENTS = {
    INSTALLED: {},
    "malloc": TUNED | {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000",
                       "MALLOC_TOP_PAD_": "1000000000", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "tcmalloc": TUNED | {"LD_PRELOAD": "libtcmalloc_minimal.so.4"},
    "jemalloc": TUNED | JEMALLOC,
    "tuned": TUNED | JEMALLOC | {"LD_PRELOAD": "libjemalloc.so.2:libopenblas.so.0"},  # in place of PyPI's MKL in fp32
}
DEBIAN = "/usr/bin/python3"
START_SLACK, LOSS_SLACK = 0.3, 0.15  # random weights are not quite a uniform guess; and they and the tokens differ
BUSY = 0.05  # share of the processors that other programs may take before a run is repeated, and at last marked
TRIES = 3


@dataclass
class Contestant:
    who: str
    mode: str
    environment: str
    command: list
    results: list = field(default_factory=list)  # one a round
    failure: str = ""

    @property
    def precision(self):
        return "fp32" if self.mode.startswith("fp32") else "bf16"

    @property
    def title(self):
        return f"{self.who} {self.mode}, {self.environment}"

    def values(self, key):
        return [r[key] for r in self.results]

    def middle(self, key):
        return statistics.median(self.values(key))


def busy_seconds():
    """Processor time of the whole machine, with what a hypervisor took."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def attempt(command, environment, lock):
    """A result and no reason, or None and the reason."""
    with open(lock, "a", encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began, others = time.monotonic(), own_seconds() - busy_seconds()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        others += busy_seconds() - own_seconds()
        elapsed = time.monotonic() - began
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    result = json.loads(done.stdout)
    result["others"] = max(0.0, others / elapsed / CORES)
    result["tokens"] = result["tokens_per_s"] * result["seconds"]
    return result, ""


def run(c, lock):
    """Adds to the contestant the least disturbed result of a few, or the reason why there is none."""
    environment = {k: os.environ[k] for k in PASSED_ON if k in os.environ} | ENVIRONMENTS[c.environment]
    least = None
    for _ in range(TRIES):
        result, c.failure = attempt(c.command, environment, lock)
        if c.failure:
            return
        if least is None or result["others"] < least["others"]:
            least = result
        if least["others"] <= BUSY:
            break
    c.results.append(least)


def said(command):
    """The first line that a command prints, or why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as e:
        return f"none ({e.strerror})"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["?"]
    return lines[0] if done.returncode == 0 else f"none ({lines[-1]})"


def header(a, peers):
    cpu = processor()
    version = "import torch, platform; print(torch.__version__, 'of Python', platform.python_version())"
    return {"date": datetime.date.today().isoformat(),
            "processor": ", ".join(f"{k} {cpu.get(k)}" for k in ("model name", "cpu family", "model")), "cores": CORES,
            "system": platform.platform(), "yoke": said([a.yoke, "--version"]), "g++": said(["g++", "--version"]),
            **{f"{who} torch": said([python, "-c", version]) for who, python in peers.items()}}


def missing(environment):
    """The libraries that an environment preloads and this machine has not."""
    wanted = ENVIRONMENTS[environment].get("LD_PRELOAD", "").split(":")
    return [library for library in wanted if library and not glob.glob(f"/usr/lib/*/{library}")]


def contestants(a, model, peers):
    for precision in ("fp32", "bf16"):
        command = [a.yoke, "bench", "step", "--json", "--model", model, "--precision", precision]
        yield Contestant("Yoke", precision, INSTALLED, command + ["--repeats", str(a.steps)])
    step = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_step.py")
    for who, python in peers.items():
        for mode in a.modes:
            for environment in a.environments:
                yield Contestant(who, mode, environment, [python, step, model, "--mode", mode, "--steps", str(a.steps)])


def check_losses(c, all_losses, model):
    """The first loss is that of guessing; the last is finite, lower, and near everybody else's."""
    uniform = math.log(VOCAB[model])
    first, last = c.values("loss_first") if c.who != "Yoke" else [], c.values("loss")
    sane = all(abs(x - uniform) < START_SLACK for x in first) and all(
        math.isfinite(x) and x < uniform and abs(x - statistics.median(all_losses)) < LOSS_SLACK for x in last)
    return f"{last[-1]:.2f} {'ok' if sane else 'WRONG'}"


def print_table(model, ran):
    peak = {p: max(x for c in ran if c.who == "Yoke" for x in c.values(p + "_gflops")) for p in ("fp32", "bf16")}
    losses = [x for c in ran for x in c.values("loss")]
    print(f"{'':7} {'mode':19} {'environment':11} {'tokens/s':>8} {'lowest - highest':>17} {'of peak':>7} {'MiB':>6} "
          f"{'others':>6}  loss")
    for c in ran:
        low, high = (c.results[0]["tokens"] / f(c.values(k)) for f, k in ((max, "seconds_max"), (min, "seconds_min")))
        others = max(c.values("others"))
        print(f"{c.who:7} {c.mode:19} {c.environment:11} {c.middle('tokens_per_s'):8.1f} {low:8.1f} -{high:7.1f} "
              f"{c.middle('gflops') / peak[c.precision]:7.1%} {c.middle('peak_memory_mib'):6.0f} "
              f"{others:5.0%}{'!' if others > BUSY else ' '}  {check_losses(c, losses, model)}")


def ratios(ran):
    """Yoke over the fastest PyTorch of the same precision: as installed, and whatever its environment."""
    out = []
    for ours in (c for c in ran if c.who == "Yoke"):
        rivals = [c for c in ran if c.who != "Yoke" and c.precision == ours.precision]
        for label, group in (("as installed", [c for c in rivals if c.environment == INSTALLED]), ("tuned", rivals)):
            if group:
                best = max(group, key=lambda c: c.middle("tokens_per_s"))
                least = min(group, key=lambda c: c.middle("peak_memory_mib"))
                each = [x / y for x, y in zip(ours.values("tokens_per_s"), best.values("tokens_per_s"))]
                memory = ours.middle("peak_memory_mib")
                out.append({"precision": ours.precision, "against": label, "best": best.title, "rounds": each,
                            "speed": statistics.median(each), "memory": memory / best.middle("peak_memory_mib"),
                            "memory_least": memory / least.middle("peak_memory_mib"), "least": least.title})
    return out


def print_ratios(rows):
    for r in rows:
        print(f"Yoke {r['precision']} / best PyTorch {r['against']} ({r['best']}): speed {r['speed']:.2f} "
              f"({min(r['rounds']):.2f} to {max(r['rounds']):.2f}), memory {r['memory']:.2f}; "
              f"memory / the least ({r['least']}) {r['memory_least']:.2f}")


def compare(a, model, peers):
    entered = list(contestants(a, model, peers))
    for turn in range(1, a.rounds + 1):
        for c in entered:
            if not c.failure:
                run(c, a.lock)
                if c.failure and c.who == "Yoke":
                    sys.exit(f"{c.title}: {c.failure}")
                state = c.failure or f"{c.results[-1]['tokens_per_s']:.1f} tokens/s"
                print(f"{model}, round {turn} of {a.rounds}: {c.title}: {state}", file=sys.stderr, flush=True)
    ran = [c for c in entered if not c.failure]
    shape = "{batch} x {seq}".format(**ran[0].results[0])
    print(f"\n{model}, {shape} tokens; {a.rounds} rounds of {a.steps} steps")
    print_table(model, ran)
    rows = ratios(ran)
    print_ratios(rows)
    for c in entered:
        if c.failure:
            print(f"left out: {c.title}: {c.failure}")
    return {"contestants": [asdict(c) for c in entered], "ratios": rows}


def set_up(folder):
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([os.path.join(folder, "bin", "pip"), "install", "--quiet", "torch"], check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", metavar="DIR", help="make the virtual environment and stop")
    p.add_argument("--venv", metavar="DIR", help="virtual environment with PyPI's torch")
    p.add_argument("--yoke", default="build/yoke", help="the program under test (%(default)s)")
    p.add_argument("--models", nargs="+", choices=VOCAB, default=list(VOCAB))
    p.add_argument("--modes", nargs="+", default=MODES, help="modes of torch_step.py (%(default)s)")
    p.add_argument("--environments", nargs="+", choices=ENVIRONMENTS, default=[INSTALLED, "tuned"])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=5, help="steps that are timed in a process, after two (%(default)s)")
    p.add_argument("--json", metavar="FILE", help="all results, by round")
    p.add_argument("--lock", metavar="FILE", default=os.devnull, help="a file to flock while a contestant runs")
    a = p.parse_args()
    if a.setup:
        set_up(a.setup)
        return
    if not os.access(a.yoke, os.X_OK):
        p.error(f"{a.yoke} is not there: `make`, or name the program with --yoke")
    peers = {"PyPI": os.path.join(a.venv, "bin", "python")} if a.venv else {}
    if os.path.exists(DEBIAN):
        peers["Debian"] = DEBIAN
    about = header(a, peers)
    print("\n".join(f"{k}: {v}" for k, v in about.items()), flush=True)
    for environment in list(a.environments):
        if libraries := missing(environment):
            print(f"left out: environment {environment}: {' and '.join(libraries)} not installed")
            a.environments.remove(environment)
    models = {m: compare(a, m, peers) for m in a.models}
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(about | models, f, indent=1)


if __name__ == "__main__":
    main()
