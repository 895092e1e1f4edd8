#!/usr/bin/python3
"""Bad neighbours of every kind at once, beside good workers that must not notice them.

usage: storm.py FCACHED WORKER

First the workers are alone (QUIET_S seconds), then with the neighbours (SECONDS). Fails where a call of
a worker failed, missed its deadline or had a wrong value; where a p99 was more than twice the quiet
one; or where the daemon had more memory than it said it would.

  SECONDS=60 QUIET_S=20      how long
  KINDS='frames readers'     only the kinds whose names contain one of these words; '-frames': all
                             but those
  TIMES=no                   for slow machines and machines with other work: judge the daemon and
                             not the machine. The p99 is not judged. The deadline is four times
                             as long, and as many calls as there are workers may miss it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import messages
import users
import work
from measurements import Comparison, Phase, size_text
from neighbour import Neighbour, end_with_parent, raise_priority
from wire import Client

WORKERS = 4
MAX_BYTES = 256 << 20
SAMPLE_S = 0.1
WARM_UP_S = 2  # in which the cache is filled
DEADLINE_MS = 250  # of a call: the library's default
# With TIMES=no. A slow machine may need more than 250 ms for a value of 4 MB beside 18 kinds of
# neighbours. A call that a neighbour starves waits for seconds: 2 s where the connections of a user
# are served in the wrong order.
PATIENT_DEADLINE_MS = 1000
# With TIMES=no. A virtual machine that stops for a second delays the call of each worker once.
MISSED_MAX = WORKERS
# With TIMES=no, in percent of the calls. A worker that lost its connection computes alone during
# its back-off, which is 2 s at most, and makes up to 1,000 calls meanwhile.
ALONE_MAX = 2

KINDS: tuple[type[Neighbour], ...] = (
    messages.Frames,
    messages.SlowReaders,
    messages.SteadyReaders,
    messages.SmallMessages,
    messages.Dribble,
    messages.Hellos,
    messages.Tools,
    work.Clears,
    work.PutMany,
    work.Waves,
    work.Colliding,
    work.MaxEntries,
    work.Leases,
    work.IdleRegions,
    work.BadRings,
    users.TakesAll,
    users.Stopped,
    users.Killed,
)


def times_count() -> bool:
    return os.environ.get("TIMES") != "no"


def deadline_ms() -> int:
    return DEADLINE_MS if times_count() else PATIENT_DEADLINE_MS


def favoured() -> None:
    """For the daemon and the workers, before they run."""
    end_with_parent()
    raise_priority()


class Daemon:
    def __init__(self, binary: str, directory: Path) -> None:
        self.socket = str(directory / "s")
        self.log = directory / "log"
        # Root's neighbours have no share of the places for clients, and come in hundreds.
        command = [binary, "--socket", self.socket, "--max-bytes", str(MAX_BYTES)]
        command += ["--max-clients", "3000"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=favoured)
        self.pid = self._process.pid

    def wait(self) -> None:
        for _ in range(1000):
            with suppress(OSError):
                Client(self.socket, space=None).close()
                os.chmod(self.socket, 0o666)
                return
            if not self.runs():
                break
            time.sleep(0.01)
        sys.exit(f"storm: {self.log.read_text()}")

    def runs(self) -> bool:
        return self._process.poll() is None

    def rss(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Worker:
    def __init__(self, binary: str, daemon: Daemon, number: int) -> None:
        self._process = subprocess.Popen(
            [binary, daemon.socket, str(daemon.pid), str(number), str(deadline_ms())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=favoured,
        )

    def line(self) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # its report will be missing
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def report(self) -> list[str]:
        assert self._process.stdout
        lines = []
        for line in self._process.stdout:
            if line == "end\n":
                return lines
            lines.append(line.rstrip("\n"))
        sys.exit("storm: a worker ended in the middle of its work")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class Memory(threading.Thread):
    """Looks at the daemon's resident memory all the time."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self._over = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            with suppress(OSError):
                self.most = max(self.most, self._daemon.rss())

    def end(self) -> None:
        self._over.set()
        self.join()


def measure(workers: list[Worker], seconds: float) -> Phase:
    phase = Phase()
    for worker in workers:
        worker.line()
    time.sleep(seconds)
    for worker in workers:
        worker.line()
    for worker in workers:
        phase.add(worker.report())
    return phase


def stated_bound(daemon: Daemon) -> int:
    """The memory bound that the daemon states."""
    client = Client(daemon.socket, space=None)
    try:
        return client.stats()["memory_bound"]
    finally:
        client.close()


def chosen_kinds() -> list[type[Neighbour]]:
    words = os.environ.get("KINDS", "").split()
    wanted = [word for word in words if word[0] != "-"] or [""]
    unwanted = [word[1:] for word in words if word[0] == "-"]
    chosen = [kind for kind in KINDS if any(word in kind.name for word in wanted)]
    chosen = [kind for kind in chosen if not any(word in kind.name for word in unwanted)]
    if not chosen:
        sys.exit(f"storm: no kind of neighbour of that name: {' '.join(k.name for k in KINDS)}")
    return chosen


def print_neighbours(neighbours: list[Neighbour]) -> None:
    fields = neighbours[0].note.FIELDS
    print(f"\n{'neighbour':16}" + "".join(f"{field:>9}" for field in fields))
    for neighbour in neighbours:
        note = neighbour.note.read()
        print(f"{neighbour.name:16}" + "".join(f"{note[field]:>9}" for field in fields))
        print(f"    {neighbour.sentence}")


class Verdict:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, good: bool, text: str) -> None:
        self.passed += good
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'}  {text}")


def judge(quiet: Phase, storm: Phase, neighbours: list[Neighbour]) -> Verdict:
    verdict = Verdict()
    print()
    judge_calls(verdict, quiet, storm)
    judge_times(verdict, Comparison(quiet, storm))
    done = ["region", "socket", "put", "batch", "cached", "open"]
    missing = [kind for kind in done if storm.latencies[kind, "1 KB"].n == 0]
    verdict.check(not missing, f"no calls of a kind: {', '.join(missing) or 'all were made'}")
    idle = [n.name for n in neighbours if n.note.read()["clients"] == 0]
    verdict.check(not idle, f"neighbours that never connected: {', '.join(idle) or 'none'}")
    return verdict


def judge_calls(verdict: Verdict, quiet: Phase, storm: Phase) -> None:
    of = storm.counts["calls"]
    missed_max, alone_max = (0, 0) if times_count() else (MISSED_MAX, of * ALONE_MAX // 100)
    limits = {
        "calls wrong": ("wrong", 0),
        "new workers without the region": ("no_region", 0),
    }
    limits["calls failed, degraded or late"] = "failed degraded late", missed_max
    limits["calls after a lost connection"] = "alone", alone_max
    for what, (names, most) in limits.items():
        bad, before = (sum(phase.counts[n] for n in names.split()) for phase in (storm, quiet))
        allowed = f", {most} allowed" if most else ""
        verdict.check(bad <= most, f"{what}: {bad} ({before} when quiet), of {of} calls{allowed}")
    if storm.counts["stalled"] > 0:
        print(f"--    calls late for want of a processor: {storm.counts['stalled']} (not judged)")
    for fault in storm.faults[:16]:
        print(textwrap.fill(fault, 80, initial_indent="      ", subsequent_indent=" " * 10))


def judge_times(verdict: Verdict, comparison: Comparison) -> None:
    slow = ", ".join(comparison.slow())
    text = f"p99 over {Comparison.MOST:g} times the quiet one: {slow or 'none'}"
    if times_count():
        verdict.check(not slow, text)
    else:
        print(f"--    {text} (not judged)")


class Storm:
    """The daemon, the workers and the neighbours. All of them end with it, whatever happens."""

    def __init__(self, fcached: str, worker: str, stack: ExitStack) -> None:
        self._stack = stack
        directory = Path(tempfile.mkdtemp(prefix="fcached-storm-", dir="/tmp"))
        stack.callback(shutil.rmtree, directory, True)
        directory.chmod(0o755)  # for other users
        self._daemon = Daemon(fcached, directory)
        stack.callback(self._daemon.end)
        self._daemon.wait()
        self._bound = stated_bound(self._daemon)
        self._memory = Memory(self._daemon)
        self._memory.start()
        stack.callback(self._memory.end)
        self._workers = [Worker(worker, self._daemon, number) for number in range(WORKERS)]
        for each in self._workers:
            stack.callback(each.end)

    def run(self) -> Verdict:
        measure(self._workers, WARM_UP_S)
        quiet = measure(self._workers, float(os.environ.get("QUIET_S", "20")))
        neighbours = [kind(self._daemon.socket) for kind in chosen_kinds()]
        for neighbour in neighbours:
            neighbour.start()
            self._stack.callback(neighbour.end)
        storm = measure(self._workers, float(os.environ.get("SECONDS", "60")))
        ended = [neighbour.name for neighbour in neighbours if not neighbour.end()]
        Comparison(quiet, storm).print()
        Comparison(quiet, storm).print_machine()
        print_neighbours(neighbours)
        verdict = judge(quiet, storm, neighbours)
        most = self._memory.most
        verdict.check(
            most <= self._bound,
            f"memory: at most {size_text(most)} of {size_text(self._bound)}",
        )
        verdict.check(self._daemon.runs(), "the daemon still runs")
        verdict.check(
            not ended,
            f"neighbours that broke by themselves: {', '.join(ended) or 'none'}",
        )
        return verdict


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    for name in [name for name in os.environ if name.startswith("FCACHE_")]:
        del os.environ[name]  # the user's settings must not change the measurement
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with ExitStack() as stack:
            verdict = Storm(sys.argv[1], sys.argv[2], stack).run()
    except KeyboardInterrupt:
        print("storm: interrupted", file=sys.stderr)
        return 130
    print(f"{verdict.passed} passed, {verdict.failed} failed")
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
