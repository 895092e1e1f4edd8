"""Measures how much log-probs depend on batches, threads and kernels: the table of
docs/logprobs.md.

    python tests/python/logprobs.py      # needs torch and transformers; no network; some minutes

A GPT-2 of 6 layers with random weights (seed 0) scores 64 prompts of 5 to 100 tokens, each alone,
with eager attention, float32 and one thread, and then in other ways. A row shows the number of
log-probs with different bits, and the largest difference, in the log-prob and in units in the last
place.
"""

from __future__ import annotations

import os
import subprocess
import sys

import torch
import transformers

PROMPTS = 64
Scores = list[torch.Tensor]


def make_model(attention: str = "eager") -> transformers.GPT2LMHeadModel:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=4096,
        n_positions=128,
        n_embd=384,
        n_layer=6,
        n_head=6,
        attn_implementation=attention,
    )
    config.bos_token_id = config.eos_token_id = 0
    config.initializer_range = 0.08  # log-probs as far apart as a trained model's
    return transformers.GPT2LMHeadModel(config).eval()


def make_prompts() -> Scores:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(5, 101, (PROMPTS,), generator=generator)
    return [torch.randint(1, 4096, (int(n),), generator=generator) for n in lengths]


def pick(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probs of tokens 1.. given those before, from logits of all positions."""
    scores = torch.log_softmax(logits[:-1].float(), -1)
    return scores.gather(-1, tokens[1:, None])[:, 0]


@torch.no_grad()
def alone(model: torch.nn.Module, prompts: Scores) -> Scores:
    return [pick(model(p[None]).logits[0], p) for p in prompts]


@torch.no_grad()
def batched(model: torch.nn.Module, prompts: Scores, size: int, side: str) -> Scores:
    """In batches as they come, padded to the longest on one side."""
    scores = []
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        width = max(len(p) for p in batch)
        ids, mask = torch.zeros(len(batch), width, dtype=torch.long), torch.zeros(len(batch), width)
        spans = []
        for row, p in enumerate(batch):
            at = slice(width - len(p), width) if side == "left" else slice(0, len(p))
            ids[row, at], mask[row, at] = p, 1
            spans.append(at)
        positions = (mask.cumsum(-1) - 1).clamp(min=0).long()
        logits = model(ids, attention_mask=mask.long(), position_ids=positions).logits
        scores += [pick(logits[row, at], p) for row, (at, p) in enumerate(zip(spans, batch))]
    return scores


@torch.no_grad()
def with_cache(model: torch.nn.Module, prompts: Scores) -> Scores:
    """Token by token, with the keys and values of the tokens before."""
    scores = []
    for p in prompts:
        past, logits = None, []
        for token in p:
            out = model(token[None, None], past_key_values=past, use_cache=True)
            past = out.past_key_values
            logits.append(out.logits[0, 0])
        scores.append(pick(torch.stack(logits), p))
    return scores


def order(values: torch.Tensor) -> torch.Tensor:
    """Floats as integers that count units in the last place. All log-probs are negative."""
    return values.view(torch.int32).long()


def report(what: str, scores: Scores, expected: Scores, single: bool = True) -> None:
    got, want = torch.cat(scores), torch.cat(expected)
    differ = int((got.view(torch.int32) != want.view(torch.int32)).sum())
    furthest = float((got - want).abs().max())
    ulps = int((order(got) - order(want)).abs().max()) if single else "-"
    print(f"{what:40} {differ:5} of {len(want)} {furthest:9.1e} {ulps:>4}")


def elsewhere(name: str, value: str) -> Scores:
    """Each prompt alone in a process with an environment variable set."""
    env = {**os.environ, name: value}
    out = subprocess.run(
        [sys.executable, __file__, "alone"], env=env, check=True, capture_output=True
    )
    flat, scores = torch.frombuffer(bytearray(out.stdout), dtype=torch.float32), []
    for p in make_prompts():
        scores.append(flat[: len(p) - 1])
        flat = flat[len(p) - 1 :]
    return scores


def main() -> None:
    torch.set_num_threads(1)
    model, prompts = make_model(), make_prompts()
    expected = alone(model, prompts)
    if sys.argv[1:] == ["alone"]:
        sys.stdout.buffer.write(torch.cat(expected).numpy().tobytes())
        return
    print(f"torch {torch.__version__}, transformers {transformers.__version__},", end=" ")
    print(f"{torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} CPUs")
    report("alone again", alone(model, prompts), expected)
    report("alone, in another process", elsewhere("UNUSED", "1"), expected)
    for size, side in ((8, "right"), (8, "left"), (32, "right")):
        report(f"batches of {size}, padded {side}", batched(model, prompts, size, side), expected)
    report("token by token, with a KV cache", with_cache(model, prompts), expected)
    report("sdpa attention", alone(make_model("sdpa"), prompts), expected)
    for threads in (2, 4):
        torch.set_num_threads(threads)
        report(f"{threads} threads", alone(model, prompts), expected)
    torch.set_num_threads(1)
    for value in ("avx2", "default"):
        report(f"ATEN_CPU_CAPABILITY={value}", elsewhere("ATEN_CPU_CAPABILITY", value), expected)
    report("MKL_ENABLE_INSTRUCTIONS=AVX2", elsewhere("MKL_ENABLE_INSTRUCTIONS", "AVX2"), expected)
    low = alone(model.bfloat16(), prompts)
    report("bfloat16", low, expected, False)
    report("bfloat16, batches of 8, against alone", batched(model, prompts, 8, "right"), low, False)


if __name__ == "__main__":
    main()
