"""Latencies of the good workers, put together, and the tables of the storm."""

from __future__ import annotations

from collections import Counter, defaultdict

KINDS = ("region", "socket", "miss", "put", "batch", "cached", "open")
SIZES = ("1 KB", "100 KB", "4 MB")
Row = tuple[str, str]  # kind and size


class Latencies:
    """Of one kind and size."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.max_ns = 0

    def add(self, text: str) -> None:
        """Parses the output of a worker: NS:COUNT for each bucket, and max:NS."""
        for part in text.split():
            ns, _, count = part.partition(":")
            if ns == "max":
                self.max_ns = max(self.max_ns, int(count))
            else:
                self._counts[int(ns)] += int(count)

    @property
    def n(self) -> int:
        return self._counts.total()

    def percentile_ns(self, percent: float) -> int:
        rank = self.n * percent / 100
        for ns in sorted(self._counts):
            rank -= self._counts[ns]
            if rank <= 0:
                return min(ns, self.max_ns)
        return self.max_ns


class Phase:
    """What all workers did in one measurement."""

    def __init__(self) -> None:
        self.latencies: defaultdict[Row, Latencies] = defaultdict(Latencies)
        self.processor = Latencies()
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def add(self, lines: list[str]) -> None:
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "latency":
                kind, number, unit, text = rest.split(" ", 3)
                self.latencies[kind, f"{number} {unit}"].add(text)
            elif word == "processor":
                self.processor.add(rest)
            elif word == "count":
                name, n = rest.split()
                self.counts[name] += int(n)
            elif word == "fault":
                self.faults.append(rest)


def time_text(ns: float) -> str:
    if ns < 10_000:
        return f"{ns / 1e3:.1f} us"
    return f"{ns / 1e3:.0f} us" if ns < 1_000_000 else f"{ns / 1e6:.1f} ms"


def size_text(n: int) -> str:
    return f"{n / (1 << 20):.1f} MiB"


class Comparison:
    """The storm's percentiles beside the quiet ones."""

    MOST = 2.0
    # A quiet p99 below this counts as this. A call waits for one of 4 MB before it, or for another
    # process's slice of a processor, and whether 1% of them do is chance.
    FLOOR_NS = 2_000_000
    CALLS_MIN = 200  # for a percentile that means something

    def __init__(self, quiet: Phase, storm: Phase) -> None:
        self._quiet, self._storm = quiet, storm

    def ratio(self, row: Row) -> float:
        """Of the storm's p99 to the quiet one, or to the floor where that is lower."""
        quiet = self._quiet.latencies[row].percentile_ns(99)
        return self._storm.latencies[row].percentile_ns(99) / max(quiet, self.FLOOR_NS)

    def rows(self) -> list[Row]:
        seen = [row for row in self._storm.latencies if self._storm.latencies[row].n > 0]
        return sorted(seen, key=lambda row: (KINDS.index(row[0]), SIZES.index(row[1])))

    def counts(self, row: Row) -> bool:
        phases = self._quiet, self._storm
        return min(phase.latencies[row].n for phase in phases) >= self.CALLS_MIN

    def slow(self) -> list[str]:
        """The rows whose p99 is too long."""
        rows = [row for row in self.rows() if self.counts(row)]
        return [" ".join(row) for row in rows if self.ratio(row) > self.MOST]

    def print_machine(self) -> None:
        quiet, storm = self._quiet.processor, self._storm.processor
        print("\nnot in these: what a call waited for a processor (p99, max):")
        for name, phase in ("quiet", quiet), ("storm", storm):
            print(f"    {name} {time_text(phase.percentile_ns(99))}, {time_text(phase.max_ns)}")

    def print(self) -> None:
        print(
            f"{'':14}{'quiet':>8}{'p50':>9}{'p99':>9}{'storm':>8}{'p50':>9}{'p99':>9}{'max':>9}  x"
        )
        for row in self.rows():
            quiet, storm = self._quiet.latencies[row], self._storm.latencies[row]
            times = [quiet.percentile_ns(50), quiet.percentile_ns(99)]
            times += [storm.percentile_ns(50), storm.percentile_ns(99), storm.max_ns]
            a, b, c, d, e = map(time_text, times)
            ratio = f"{self.ratio(row):.1f}" if self.counts(row) else "-"
            name = f"{row[0]} {row[1]}"
            print(f"{name:14}{quiet.n:>8}{a:>9}{b:>9}{storm.n:>8}{c:>9}{d:>9}{e:>9}{ratio:>4}"[:80])
