"""Errors of warnings, log lines, callbacks and counters never cost the caller a computed result."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from client_help import Batches, fake_distributed, never, open_client
from conftest import TIMEOUT_S, Daemon
from lm_eval_fakes import Request

import fcached
from fcached import MISS
from fcached.instrumentation import BackendInstrumentation, TraceWriter
from fcached.lm_eval.sharing import Sharing
from fcached.sway.backends import share
from fcached.sway.instrumentation import BackendInstrumentation as SwayInstrumentation

VALUE = object()  # has no encoding
Beside = AbstractContextManager[None]


@contextmanager
def unraised() -> Iterator[list[Any]]:
    """Collects exceptions that were reported and not raised. Entered in the test's body, because
    pytest replaces the hook too."""
    reports: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda report: reports.append(report.exc_value))
        yield reports


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def write(message: Any, *_: Any) -> None:
    sys.stderr.write(str(message))


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("beside the result")


STREAMS = {"closed stderr": closed(), "no stderr": None, "full stderr": Broken()}


@pytest.fixture(params=["error", "showwarning", *STREAMS])
def beside(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """Ways in which a warning fails: python -W error, a program's showwarning, broken streams."""

    @contextmanager
    def failing() -> Iterator[None]:
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch, unraised():
            warnings.simplefilter("error" if request.param == "error" else "always")
            if request.param == "showwarning":
                warnings.showwarning = fail
            elif request.param in STREAMS:  # pytest captures warnings. Other programs print them
                setattr(warnings, "showwarning", write)
                patch.setattr(sys, "stderr", STREAMS[request.param])
            yield

    return failing()


class Gone:
    """Of a class whose values cannot be read here."""


fcached.register(Gone, name="test_fail_open.Gone", encode=lambda _: 1, decode=fail)


# ---- warnings ----


class TestWarnings:
    def test_unencodable_value_warning_as_error_returns_value(
        self, daemon: Daemon, beside: Beside
    ) -> None:
        with beside, open_client(daemon) as client:
            assert client.cached("op", "base", "p", 0, lambda: VALUE) is VALUE
            assert client.cached_batch("op2", "base", ["p"], 0, lambda _: [VALUE]) == [VALUE]
            assert client.stats().unencodable == 2

    def test_instrumentation_unencodable_value_warning_as_error_returns_value(
        self, daemon: Daemon, beside: Beside
    ) -> None:
        inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
        with beside:
            assert inst.cached("op", "base", "p", 0, lambda: VALUE) is VALUE
            assert inst.cached("op", "base", "p", 0, never) is VALUE
            assert inst.cached_batch("op2", "base", ["p"], 0, lambda _: [VALUE]) == [VALUE]
            assert inst.stats.forward_passes == 2
        inst.close()

    def test_undecodable_hit_warning_as_error_computes(
        self, daemon: Daemon, beside: Beside
    ) -> None:
        with beside, open_client(daemon) as client, open_client(daemon) as other:
            client.put_many("op", "base", ["p", "q"], 0, [Gone(), Gone()])
            client.put_many("op2", "base", ["p", "q"], 0, [Gone(), Gone()])
            assert client.get_many("op", "base", ["p"]) == [MISS]
            assert client.cached("op", "base", "p", 0, lambda: 1) == 1
            assert other.cached_batch("op2", "base", ["p", "q"], 0, Batches()) == [0, 10]

    def test_instrumentation_undecodable_hit_warning_as_error_computes(
        self, daemon: Daemon, beside: Beside
    ) -> None:
        with open_client(daemon) as client:
            client.put_many("op", "base", ["p", "q"], 0, [Gone(), Gone()])
        inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
        with beside:
            assert inst.cached("op", "base", "p", 0, lambda: 1) == 1
            assert inst.cached_batch("op", "base", ["q", "p"], 0, lambda _: [2]) == [2, 1]
        inst.close()

    def test_verified_unencodable_value_warning_as_error_returns_value(
        self, daemon: Daemon, beside: Beside
    ) -> None:
        with beside, open_client(daemon, verify=1.0) as client:
            client.put_many("op", "base", ["p", "q"], 0, [1, 2])
            assert client.cached("op", "base", "p", 0, lambda: VALUE) is VALUE
            assert client.cached_batch("op", "base", ["q"], 0, lambda _: [VALUE]) == [VALUE]

    def test_several_ranks_warning_as_error_computes(
        self, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, beside: Beside
    ) -> None:
        with beside, open_client(daemon) as client:
            client.put("op", "base", "p", 0, "stored")
            fake_distributed(monkeypatch, 2)
            assert client.cached("op", "base", "p", 0, lambda: 1) == 1  # never a hit
            assert client.cached_batch("op", "base", ["p"], 0, lambda _: [1]) == [1]
            assert client.get("op", "base", "p") is MISS
            inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
            assert inst.cached("op", "base", "p", 0, lambda: 1) == 1
            assert inst.cached_batch("op", "base", ["q"], 0, lambda _: [1]) == [1]
            inst.close()


@pytest.mark.parametrize("options", [["-W", "error"], ["-W", "always"]], ids=" ".join)
@pytest.mark.parametrize("stream", ["closed", "2>&-", "/dev/full"])
def test_program_with_broken_stderr_returns_value(
    daemon: Daemon, options: list[str], stream: str
) -> None:
    script = """
        import fcached, sys
        if sys.argv[2] == "closed":
            sys.stderr.close()
        with fcached.Client("test", socket=sys.argv[1], deadline=5.0, verify=1.0) as client:
            value = object()
            print(client.cached("op", "base", "p", 0, lambda: value) is value)
            print(client.cached_batch("op", "base", ["p"], 0, lambda _: [value]) == [value])
            client.put("op", "base", "q", 0, 1)
            print(client.cached("op", "base", "q", 0, lambda: 2) == 2)
        """
    code = textwrap.dedent(script)
    redirect = {"closed": "", "2>&-": "2>&-", "/dev/full": "2>/dev/full"}[stream]
    command = f'exec "$@" {redirect}'
    python = [sys.executable, *options, "-c", code, daemon.socket, stream]
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *python],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.stdout.split() == ["True"] * 3


def test_warning_exception_reported_as_unraisable(daemon: Daemon) -> None:
    with warnings.catch_warnings(), unraised() as reports, open_client(daemon) as client:
        warnings.simplefilter("error")
        client.cached("op", "base", "p", 0, lambda: VALUE)
    (error,) = reports
    assert isinstance(error, RuntimeWarning) and "has no encoding" in str(error)


def test_ranks_unknown_turns_sharing_off(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("torch.distributed")
    fake.is_initialized = fail  # type: ignore[attr-defined]
    with unraised() as reports, open_client(daemon) as client:
        client.put("op", "base", "p", 0, "stored")
        monkeypatch.setitem(sys.modules, "torch.distributed", fake)
        for _ in range(2):
            assert client.cached("op", "base", "p", 0, lambda: 1) == 1
    assert [str(error) for error in reports] == ["beside the result"]


# ---- encoders, and verification ----


class Odd:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def encode_odd(value: Odd) -> Any:
    raise value.error


fcached.register(Odd, name="test_fail_open.Odd", encode=encode_odd, decode=fail)


@pytest.mark.filterwarnings("ignore:not shared:RuntimeWarning")
@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), ValueError("no"), OSError()])
def test_encode_function_failing_returns_value(daemon: Daemon, error: Exception) -> None:
    odd = Odd(error)
    with open_client(daemon) as client, open_client(daemon) as other:
        assert client.cached("op", "base", "p", 0, lambda: odd) is odd
        batch = client.cached_batch("op", "base", ["q", "r"], 0, lambda _: [odd, 2])
        assert batch == [odd, 2]
        assert client.stats().unencodable == 2
        assert other.get_many("op", "base", ["p", "q", "r"]) == [MISS, MISS, 2]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_exit_exception_in_encoder_ends_call(daemon: Daemon, error: BaseException) -> None:
    with open_client(daemon) as client:
        with pytest.raises(type(error)):
            client.cached("op", "base", "p", 0, lambda: Odd(error))
        with pytest.raises(type(error)):
            client.cached_batch("op", "base", ["p"], 0, lambda _: [Odd(error)])


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fail()


@pytest.fixture
def _logging_fails() -> Iterator[None]:
    handler = Raising()
    for name in ("fcached", "lm_eval.fcached"):
        logging.getLogger(name).addHandler(handler)
    before = logging.getLogger("lm_eval.fcached").level
    logging.getLogger("lm_eval.fcached").setLevel(logging.DEBUG)
    yield
    logging.getLogger("lm_eval.fcached").setLevel(before)
    for name in ("fcached", "lm_eval.fcached"):
        logging.getLogger(name).removeHandler(handler)


@pytest.mark.usefixtures("_logging_fails")
def test_verify_log_failing_returns_value(daemon: Daemon) -> None:
    with unraised() as reports, open_client(daemon, verify=1.0) as client:
        client.put_many("op", "base", ["p", "q"], 0, [1, 2])
        assert client.cached("op", "base", "p", 0, lambda: 3) == 3
        assert client.cached_batch("op", "base", ["q"], 0, lambda _: [4]) == [4]
        assert client.stats().differing == len(reports) == 2
        inst = BackendInstrumentation(namespace="test", socket=daemon.socket, verify=1.0)
        assert inst.cached("op", "base", "p", 0, lambda: 3) == 3
        assert inst.cached_batch("op", "base", ["q"], 0, lambda _: [4]) == [4]
        inst.close()


# ---- the parts of the drop-in ----


class ReadOnlyStats:
    """Statistics of a program that refuses changes."""

    cache_hits = cache_misses = forward_passes = property(lambda _: 0)


class FullCache:
    """Of a program that keeps its objects on a disk."""

    get = put = fail

    def clear(self) -> None:
        fail()


def use(inst: BackendInstrumentation) -> None:
    """A miss and a hit of each kind, with their values."""
    assert inst.cached("op", "base", "p", 0, lambda: 1) == 1
    assert inst.cached("op", "base", "p", 0, lambda: 1) == 1
    assert inst.cached_batch("op", "base", ["p", "q"], 0, lambda m: [1] * len(m)) == [1, 1]
    assert inst.cached_batch("op", "base", ["q", "p"], 0, lambda m: [1] * len(m)) == [1, 1]


REPLACED: dict[str, Callable[[BackendInstrumentation], None]] = {
    "stats": lambda inst: setattr(inst, "stats", ReadOnlyStats()),
    "no stats": lambda inst: setattr(inst, "stats", None),
    "trace": lambda inst: setattr(inst, "trace", SimpleNamespace(write=fail, close=fail)),
    "no trace": lambda inst: setattr(inst, "trace", None),
    "full disk": lambda inst: setattr(inst, "trace", TraceWriter(Path("/dev/full"))),
    "cache": lambda inst: setattr(inst, "cache", FullCache()),
    "no cache": lambda inst: setattr(inst, "cache", None),
    "probe": lambda inst: inst.set_current_probe(["no", "label"]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
@pytest.mark.parametrize("shared", [True, False])
def test_instrumentation_part_failing_lookups_continue(
    daemon: Daemon,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    shared: bool,
    replace: Callable[[BackendInstrumentation], None],
) -> None:
    settings = {"namespace": "test", "socket": daemon.socket} if shared else {}
    inst = BackendInstrumentation(trace_path=tmp_path / "trace", **settings)
    replace(inst)
    use(inst)
    inst.close()
    assert capsys.readouterr().err.count("lookups go on") <= 1


def test_trace_disk_full_lookups_continue(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
    inst.trace = TraceWriter(Path("/dev/full"))
    use(inst)
    assert inst.stats.cache_hits + inst.stats.cache_misses == 6
    inst.close()
    assert capsys.readouterr().err.count("the trace of this backend failed") == 1


def test_client_closed_between_steps_computes(daemon: Daemon) -> None:
    """Another thread may close the client after a lookup began. Here the cache does it."""
    inst = BackendInstrumentation(namespace="test", socket=daemon.socket)

    def closing_get(_: Any) -> Any:
        inst._clients[0].close()
        return MISS

    setattr(inst.cache, "get", closing_get)
    assert inst.cached("op", "base", "p", 0, lambda: 1) == 1
    inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
    setattr(inst.cache, "get", closing_get)
    assert inst.cached_batch("op", "base", ["q"], 0, lambda _: [2]) == [2]
    assert (inst.stats.cache_misses, inst.stats.batches_sent) == (1, 1)


def test_compute_raising_fcached_error_reaches_caller(daemon: Daemon) -> None:
    inst, calls = BackendInstrumentation(namespace="test", socket=daemon.socket), []

    def compute(*_: Any) -> Any:
        calls.append(1)
        raise fcached.UnavailableError("another daemon's")

    with pytest.raises(fcached.UnavailableError):
        inst.cached("op", "base", "p", 0, compute)
    with pytest.raises(fcached.UnavailableError):
        inst.cached_batch("op", "base", ["p"], 0, compute)
    assert len(calls) == 2
    inst.close()


def test_batch_hit_count_failing_returns_values(daemon: Daemon) -> None:
    with unraised(), open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1)
        found = client._cached_batch("op", "base", ["p", "q"], 0, lambda _: [2], fail)
        assert found == [1, 2]


@pytest.mark.parametrize("stream", [None, Broken(), closed()], ids=["none", "full", "closed"])
def test_clear_failing_stops_sharing(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    inst = BackendInstrumentation(namespace="test", socket=daemon.socket)
    use(inst)
    daemon.stop()
    monkeypatch.setattr(sys, "stderr", stream)
    inst.cache.clear()
    assert inst.cached("op", "base", "p", 0, lambda: 2) == 2
    inst.close()


# ---- lm-evaluation-harness, dlm-sway ----


class FailingBar:
    def __init__(self, **_: Any) -> None:
        pass

    update = close = fail


def answer(requests: list[Request], disable_tqdm: bool = False) -> list[float]:
    return [float(len(request.args[0])) for request in requests]


@pytest.mark.usefixtures("_logging_fails")
def test_harness_progress_failing_gets_answers(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=FailingBar))
    requests = [Request(("a",)), Request(("bb",)), Request((object(),))]
    with open_client(daemon) as client:
        sharing = Sharing(object(), client)
        answers = sharing.call("loglikelihood_rolling", answer, requests[:2])
        assert list(answers) == [1.0, 2.0]
        with_object = sharing.call("loglikelihood_rolling", lambda rs: [0.5 for _ in rs], requests)
        assert list(with_object) == [1.0, 2.0, 0.5]
        client.close()
    assert "beside the result" in capsys.readouterr().err


def test_harness_put_failing_gets_answers(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_client(daemon) as client:
        broken = SimpleNamespace(
            verify=0.0,
            connected=True,
            get_many=client.get_many,
            get=client.get,
            put=fail,
            give_up=fail,
            give_up_many=fail,
        )
        sharing = Sharing(object(), broken)  # type: ignore[arg-type]
        answers = sharing.call("loglikelihood_rolling", answer, [Request(("a",)), Request(("bb",))])
        assert list(answers) == [1.0, 2.0]


def test_harness_requests_not_a_list_gets_answers(daemon: Daemon) -> None:
    requests = (Request((text,)) for text in ("a", "bb"))
    with open_client(daemon) as client:
        sharing = Sharing(object(), client)
        assert list(sharing.call("loglikelihood_rolling", answer, requests)) == [1.0, 2.0]


def test_sway_backend_unexpected_stays_unshared(capsys: pytest.CaptureFixture[str]) -> None:
    backend = SimpleNamespace(_inst=SwayInstrumentation(), id="api")  # has no _base_url
    share(backend, SimpleNamespace(kind="api"), None)
    assert "stay in this process" in capsys.readouterr().err
    assert backend._inst.cached("op", "api", "p", 0, lambda: 1) == 1
