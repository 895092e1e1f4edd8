"""The worst that 1,000 clients can do to a daemon's memory, for $WAVES_SECONDS (600).

The daemon runs in a memory control group whose limit is 5% above the bound that it states. It must
not be killed, its resident size must stay within the bound all the time, and another client must be
served between the waves. Root, and memory control groups; without, it says so and skips."""

import contextlib
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import waves_raw as raw
from waves_group import Group, skip

CLIENTS = 980  # beside the good client and the short-lived ones
OPTIONS = ["--max-bytes", "64M", "--client-budget", "64M", "--max-namespaces", "200"]
OPTIONS += ["--max-leases", "20000"]
# For each request of the good client. Stalled clients are dropped within 10 s (--stall-timeout).
SERVED_S = 15.0
SIZES = [0, 100, 3000, 8000, 20000, 65000, 300000, 1 << 20, 4 << 20, (16 << 20) - 4096]


class Daemon:
    def __init__(self, directory: pathlib.Path, group: Group):
        self.socket = str(directory / "s")
        program = os.environ.get("FCACHED", "build/fcached")
        self.process = subprocess.Popen(
            [program, "--socket", self.socket, *OPTIONS], preexec_fn=group.enter
        )
        for _ in range(500):
            with contextlib.suppress(OSError):
                self.good = raw.Client(self.socket, "good")
                return
            time.sleep(0.02)
        raise RuntimeError("the daemon does not serve")

    def resident(self) -> int:
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) * 1024

    def stats(self) -> dict[str, int]:
        return dict(self.good.request(raw.frame(raw.STATS, 3, None))[2])

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


class Watch(threading.Thread):
    """The largest resident size and group's usage, looked at every 20 ms."""

    def __init__(self, daemon: Daemon, group: Group):
        super().__init__(daemon=True)
        self.served, self.group = daemon, group
        self.resident = self.usage = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            with contextlib.suppress(OSError, IndexError):
                self.resident = max(self.resident, self.served.resident())
                self.usage = max(self.usage, self.group.usage())


class Waves:
    def __init__(self, daemon: Daemon, directory: pathlib.Path, seed: int):
        self.daemon, self.directory = daemon, directory
        self.random = random.Random(seed)
        self.clients: list[raw.Client] = []
        self.key = 0
        self.values = os.urandom(1 << 20) * 16

    def open(self, n: int, **options: object) -> list[raw.Client]:
        """Some may be refused, as the daemon counts those that left replies unread."""
        opened = []
        for _ in range(n):
            with contextlib.suppress(OSError, EOFError):
                opened.append(raw.Client(self.daemon.socket, "waves", **options))  # type: ignore
        self.clients += opened
        return opened

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.clients = []

    # ---- the waves ----

    def one_size(self) -> None:
        """Fills the cache with values of one size: each wave has another."""
        size = self.random.choice(SIZES)
        client = raw.Client(self.daemon.socket, "sizes")
        n = max(2, min(40000, (80 << 20) // (size + 200)))
        for first in range(0, n, 2000):
            self.key += 2000
            if size <= 3000:
                client.request(raw.put_many(self.key, min(2000, n), self.values[:size]))
                continue
            for i in range(min(2000, n - first)):
                client.request(raw.put(self.key + i, self.values[:size]))
        client.close()

    def unfinished_frames(self) -> None:
        """Each announces a frame, sends a part of it, and goes on a little, or never."""
        sent = []
        for client in self.open(CLIENTS):
            data = raw.put(self.random.randrange(1000), self.values[: self.random.choice(SIZES)])
            most = self.random.randrange(1, len(data))
            sent.append((client, data[:most], client.stuff(data[:most])))
        for _ in range(3):
            self.serve()
            sent = [(c, d, n + c.stuff(d[n : n + 70000])) for c, d, n in sent]

    def unread_replies(self) -> None:
        """Clients that request values and lists and read nothing. Half of them shut down sending."""
        good = self.daemon.good
        for i, size in enumerate(SIZES):
            good.request(raw.put(i, self.values[:size]))
        for n, client in enumerate(self.open(CLIENTS)):
            requests = [raw.get(self.random.randrange(len(SIZES))) for _ in range(200)]
            requests += [raw.frame(raw.LIST, 8, None, None, None, 1000, b"")] * 20
            self.random.shuffle(requests)
            client.stuff(b"".join(requests))
            if n % 2:
                client.socket.shutdown(1)
        self.serve()
        for client in self.random.sample(self.clients, len(self.clients) // 2):
            with contextlib.suppress(OSError):
                client.socket.setblocking(False)
                client.socket.recv(50000)

    def manifests(self) -> None:
        for i in range(300):
            with contextlib.suppress(OSError, EOFError):
                client = raw.Client(
                    self.daemon.socket, f"space-{self.key}-{i}", manifest="m" * 16384
                )
                client.request(raw.put(1, b"1"))
                client.close()
        self.key += 1

    def leases(self) -> None:
        """Leases of long names, and waits for them, by clients that read no answers."""
        name = raw.FULL_NAME
        self.key += 100000
        for n, client in enumerate(self.open(CLIENTS)):
            first = self.key + n % 16 * 400
            client.stuff(
                b"".join(raw.get(first + i, name, raw.LEASE, 600000, name) for i in range(120))
            )
        self.serve()

    def rings(self) -> None:
        self.open(CLIENTS, region=1)
        self.serve()

    def clears(self) -> None:
        """Of clients that leave at once."""
        for client in self.open(CLIENTS):
            client.stuff(raw.frame(raw.CLEAR, 9, "waves", f"v{self.random.random()}", None))
            client.close()
        self.clients = []

    def trace(self) -> None:
        """Traces to a pipe without a reader, then to other files."""
        good, path = self.daemon.good, self.directory / f"pipe-{self.key}"
        self.key += 1
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        good.request(raw.frame(raw.TRACE, 10, 1, str(path)))
        for _ in range(40):
            good.request(raw.put_many(10**9, 1000, b"1"))
        if self.random.random() < 0.5:
            good.request(raw.frame(raw.TRACE, 10, 2, None))
        os.close(reader)
        path.unlink()

    # ---- and the others ----

    def serve(self) -> None:
        for size in (100, 5000, 100000, 1 << 20):
            start = time.monotonic()
            stored = self.daemon.good.request(raw.put(77, self.values[:size]))
            assert stored[0] == 0x43, stored
            found = self.daemon.good.request(raw.get(77))
            assert found[3] is None or len(found[3]) == size
            took = time.monotonic() - start
            assert took < SERVED_S, f"{size} bytes took {took:.1f} s"

    def run(self, seconds: float) -> int:
        waves: list[Callable[[], None]] = [
            self.one_size,
            self.unfinished_frames,
            self.unread_replies,
            self.manifests,
            self.leases,
            self.rings,
            self.clears,
            self.trace,
        ]
        over, n = time.monotonic() + seconds, 0
        while time.monotonic() < over:
            for wave in self.random.sample(waves, len(waves)):
                start = time.monotonic()
                wave()
                print(f"{wave.__name__}: {time.monotonic() - start:.1f} s", flush=True)
                n += 1
                self.serve()
                if self.random.random() < 0.7 or len(self.clients) > CLIENTS // 2:
                    self.close()
        self.close()
        return n


def raise_descriptors() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 2 * CLIENTS + 200:
        skip(f"{hard} descriptors are too few for {CLIENTS} clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def stated_bound(directory: pathlib.Path, group: Group) -> int:
    daemon = Daemon(directory, group)
    bound = daemon.stats()["memory_bound"]
    daemon.good.close()
    assert daemon.stop() == 0
    return bound


def ride(directory: pathlib.Path, group: Group, seconds: float) -> int:
    bound = stated_bound(directory, group)
    group.limit(bound + bound // 20)
    daemon = Daemon(directory, group)
    watch = Watch(daemon, group)
    watch.start()
    seed = int(os.environ.get("WAVES_SEED", time.time_ns() % 1000000))
    print(f"seed {seed}: bound {bound >> 20} MiB, limit of the group 5% above", flush=True)
    n, error = 0, ""
    try:
        n = Waves(daemon, directory, seed).run(seconds)
    except (AssertionError, OSError, EOFError) as failure:
        error = repr(failure)
        traceback.print_exc()
    kills, ended = group.kills(), daemon.process.poll()
    watch.over.set()
    watch.join()
    daemon.stop()
    print(f"{n} waves: resident {watch.resident >> 20} MiB, group {watch.usage >> 20} MiB at most")
    checks = {
        f"others are served: {error}": not error,
        f"no kill: {kills} kills, status {ended}": kills == 0 and ended is None,
        "the resident size stays within the bound": watch.resident <= bound,
    }
    failed = [text for text, good in checks.items() if not good]
    for text in failed:
        print(f"--- not so: {text}")
    print(f"{len(checks) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main() -> int:
    raise_descriptors()
    group = Group()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fcached-waves-", dir="/tmp"))
    try:
        return ride(directory, group, float(os.environ.get("WAVES_SECONDS", 600)))
    finally:
        shutil.rmtree(directory)
        time.sleep(0.2)  # the group is empty a moment after its last process was waited for
        group.remove()


if __name__ == "__main__":
    sys.exit(main())
