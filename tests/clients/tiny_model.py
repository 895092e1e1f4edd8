"""Creates a small causal language model with two LoRA adapters, without a download.

The real programs that share through fcached need a real model: one whose base differs from noise,
and adapters that differ from their base and from each other. This trains one for some seconds, on
the text of Python's own reference manual (``pydoc_data``, in every Python's standard library) and
on this repository's documents::

    DIRECTORY/base       Llama of 2 layers, and its BPE tokenizer
    DIRECTORY/protocol   a LoRA adapter, trained on docs/protocol.md
    DIRECTORY/region     another, on docs/region.md; it carries a copy of the tokenizer, as peft's
                      trainers leave one beside an adapter

Seeded and on one thread: the same versions make the same weights. DIRECTORY's name tells what it was
made from (this file, the texts, the versions), so that a build directory keeps it until that changes.

    python tests/clients/tiny_model.py build/clients      # prints DIRECTORY
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pydoc_data.topics
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

DOCS = Path(__file__).resolve().parents[2] / "docs"
SEED = 7
VOCABULARY = 1024
CONTEXT = 1024
WINDOW, BATCH = 64, 8
BASE_STEPS, ADAPTER_STEPS, WARM_UP = 300, 60, 20
RATE = 8e-3
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
ADAPTERS = ("protocol", "region")


@dataclass(frozen=True)
class TinyModel:
    """The paths of the parts."""

    base: Path
    adapters: tuple[Path, Path]


def tiny_model(directory: Path) -> TinyModel:
    """The model below ``directory``, created if it does not exist. Processes that do so at the same
    time each create one, and all use the first that was complete."""
    texts = {name: (DOCS / f"{name}.md").read_text("utf-8") for name in ADAPTERS}
    manual = "\n\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    made = directory / f"tiny-model-{_digest(manual, *texts.values())}"
    if not made.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix="tiny-model-", dir=directory))
        try:
            _make(making, manual, texts)
            with contextlib.suppress(OSError):  # another process was faster: keep its directory
                making.rename(made)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return TinyModel(made / "base", (made / ADAPTERS[0], made / ADAPTERS[1]))


def _digest(*texts: str) -> str:
    """A digest of all facts that determine the weights."""
    parts = [Path(__file__).read_text("utf-8"), *texts]
    parts += [f"{name} {version(name)}" for name in ("torch", "transformers", "tokenizers", "peft")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _make(directory: Path, manual: str, texts: dict[str, str]) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            tokenizer = _tokenizer(manual)
            base = directory / "base"
            base.mkdir()
            tokenizer.save_pretrained(base)
            _train_base(base, tokenizer, manual)
            for name in ADAPTERS:
                _train_adapter(base, directory / name, tokenizer, texts[name])
            for name in TOKENIZER_FILES:
                if (base / name).exists():
                    shutil.copyfile(base / name, directory / ADAPTERS[1] / name)
    finally:
        torch.set_num_threads(threads)


def _tokenizer(text: str) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|end|>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        model_max_length=CONTEXT,
    )


def _train_base(directory: Path, tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    _train(model, tokenizer, text, BASE_STEPS)
    model.save_pretrained(directory)


def _train_adapter(
    base: Path, directory: Path, tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(SEED)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(
            task_type="CAUSAL_LM",
            r=8,
            lora_alpha=16,
            target_modules=["q_proj", "v_proj", "o_proj", "down_proj"],
        ),
    )
    _train(model, tokenizer, text, ADAPTER_STEPS)
    model.save_pretrained(directory)


def _train(
    model: PreTrainedModel | Any,
    tokenizer: PreTrainedTokenizerFast,
    text: str,
    steps: int,
) -> None:
    """A moment of AdamW on windows drawn from ``text``, its rate rising, then falling to 0."""
    import torch

    ids = torch.tensor(tokenizer(text, verbose=False).input_ids)
    draw = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP) * (1.0 - step / steps)
        starts = torch.randint(len(ids) - WINDOW, (BATCH,), generator=draw)
        window = torch.stack([ids[start : start + WINDOW] for start in starts.tolist()])
        loss = model(input_ids=window, labels=window).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    print(tiny_model(Path(sys.argv[1])).base.parent)
