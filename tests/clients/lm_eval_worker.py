"""One process of test_lm_eval.py: evaluates, and prints a JSON object.

    lm_eval_worker.py MODEL TASKS '{"seconds": 0.05, "batch_size": 1, "socket": null}'

It prints ``ready``, evaluates after it reads a line, and then prints the results, the number of
batches that its model computed, and the time of the evaluation. Each batch takes ``seconds`` longer
than the model. Without a ``socket`` nothing is shared.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

import fcached.lm_eval


class SlowLM(HFLM):  # type: ignore[misc]
    """As a larger model."""

    seconds = 0.0
    batches = 0

    def _model_call(self, *args: Any, **kw: Any) -> Any:
        return self._slowly(super()._model_call, *args, **kw)

    def _model_generate(self, *args: Any, **kw: Any) -> Any:
        return self._slowly(super()._model_generate, *args, **kw)

    def _slowly(self, compute: Any, *args: Any, **kw: Any) -> Any:
        self.batches += 1
        time.sleep(self.seconds)
        return compute(*args, **kw)


def main(model: str, tasks: str, settings: dict[str, Any]) -> None:
    torch.set_num_threads(1)  # several workers run on few cores
    lm = SlowLM(pretrained=model, device="cpu", dtype="float32", batch_size=settings["batch_size"])
    lm.seconds = settings["seconds"]
    if settings["socket"]:
        fcached.lm_eval.wrap(lm, "tiny-model", socket=settings["socket"])
    manager = TaskManager(include_path=tasks, include_defaults=False)
    loaded = manager.load(["choices", "continued", "perplexity"])
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    found = lm_eval.evaluate(lm, loaded, bootstrap_iters=0)
    seconds = time.monotonic() - begun
    answers = {
        task: {str(sample["doc_id"]): sample["resps"] for sample in samples}
        for task, samples in found["samples"].items()
    }
    result = {"results": found["results"], "answers": answers}
    print(json.dumps({**result, "batches": lm.batches, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
