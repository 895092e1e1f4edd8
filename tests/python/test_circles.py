"""Computations that wait for threads and processes which use the cache too. No wait lasts until the
lease expires, which takes 5 minutes here."""

from __future__ import annotations

import subprocess

import pytest
from client_help import run_worker, start_worker
from conftest import TIMEOUT_S, Daemon

CROSS = """
    import fcached, sys
    from concurrent.futures import ThreadPoolExecutor
    socket, own, other = sys.argv[1:]
    client = fcached.Client("test", socket=socket, deadline=5.0)
    pool = ThreadPoolExecutor(1)
    def compute():
        print("computing", flush=True)
        sys.stdin.readline()
        return pool.submit(client.cached, "op", "base", other, 0, lambda: "nested").result()
    print(client.cached("op", "base", own, 0, compute), flush=True)
    """

CHILD = """
    import fcached, multiprocessing, os, subprocess, sys
    from concurrent.futures import ProcessPoolExecutor
    socket, how = sys.argv[1:]
    client = fcached.Client("test", socket=socket, deadline=5.0)
    program = '''
    import fcached, sys
    client = fcached.Client("test", socket=sys.argv[1], deadline=5.0)
    assert client.cached("op", "base", sys.argv[2], 0, lambda: "nested") == "nested"
    '''.replace("\\n    ", "\\n")

    def ask(client, prompt):
        assert client.cached("op", "base", prompt, 0, lambda: "nested") == "nested"

    def in_fork(prompt):
        child = os.fork()
        if child == 0:
            ask(client, prompt)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    def in_process(prompt):
        process = multiprocessing.get_context(how).Process(target=ask, args=(client, prompt))
        process.start()
        process.join()
        assert process.exitcode == 0

    pool = None
    def in_pool(prompt):  # whose worker is made in the first computation, and lives on
        global pool
        pool = pool or ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
        pool.submit(ask, client, prompt).result()

    def in_program(prompt):
        subprocess.run([sys.executable, "-c", program, socket, prompt], check=True)

    run = {"os.fork": in_fork, "pool": in_pool, "program": in_program}.get(how, in_process)
    def computed(prompt):
        run(prompt)
        return "value"

    if __name__ == "__main__":
        for prompt in "a", "b":
            assert client.cached("op", "base", prompt, 0, lambda: computed(prompt)) == "value"
        print("done")
    """


def _reads(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdout is not None
    assert worker.stdout.readline() == line


def test_threads_waiting_in_circle_both_finish(daemon: Daemon) -> None:
    workers = [start_worker(CROSS, daemon.socket, *keys) for keys in ("ab", "ba")]
    try:
        for worker in workers:
            _reads(worker, "computing\n")
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        # One computed the other's key itself. The other one waited for its value.
        assert [worker.communicate(timeout=TIMEOUT_S)[0] for worker in workers] == ["nested\n"] * 2
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize("how", ["os.fork", "fork", "pool", "program"])
def test_child_waiting_for_parents_key_computes_it(daemon: Daemon, how: str) -> None:
    assert run_worker(CHILD, daemon.socket, how) == "done\n"
