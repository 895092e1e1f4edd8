"""fcached.namespace_for: the content of files counts, and their paths do not."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fcached
import pytest
from conftest import wait_until
from fcached import _core, digests, machine, model_files

namespace_for = fcached.namespace_for

COMMIT = "0123456789abcdef" * 2 + "01234567"
OTHER_COMMIT = "f" * 40


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in machine._CHOICE_OF_KERNELS + machine._CHOICE_OF_GPU:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(directory: Path, **changed: str) -> Path:
    """Writes a model's directory. The keyword ``config`` replaces the text of config.json, and so
    on."""
    directory.mkdir(parents=True)
    files = {
        "config.json": '{"model_type": "gpt2", "n_layer": 2, "_name_or_path": "/home/a/gpt2"}',
        "generation_config.json": '{"eos_token_id": 0}',
        "model-00001-of-00002.safetensors": "weights one",
        "model-00002-of-00002.safetensors": "weights two",
        "model.safetensors.index.json": '{"weight_map": {}}',
        "tokenizer.json": '{"model": {}}',
        "tokenizer_config.json": '{"name_or_path": "gpt2"}',
        "vocab.txt": "a b c",
        "chat_template.jinja": "{{ messages }}",
        "modeling_own.py": "scale = 1",
        "sub/config.json": "{}",
        "odd.dat": "x",
    }
    for name, text in {**files, **changed}.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return directory


def write_adapter(directory: Path, base: str = "/models/gpt2", **changed: object) -> Path:
    directory.mkdir(parents=True)
    config = {"base_model_name_or_path": base, "r": 8, "lora_alpha": 16, **changed}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    (directory / "adapter_model.safetensors").write_text("low rank")
    return directory


def write_hub(cache: Path, model: Path, commit: str = COMMIT, ref: str | None = "main") -> None:
    """The model in the layout of the hub's cache: a snapshot of links to blobs."""
    repository = cache / "models--org--tiny"
    for path in sorted(p for p in model.rglob("*") if p.is_file()):
        blob = repository / "blobs" / f"{commit[:4]}{path.name}{path.stat().st_size}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, blob)
        link = repository / "snapshots" / commit / path.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    if ref:
        (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(commit)


def facts(namespace: Any) -> dict[str, Any]:
    loaded = json.loads(namespace.manifest)
    assert isinstance(loaded, dict)
    return loaded


# ---- files that count


def test_name_has_type_and_digest(tmp_path: Path) -> None:
    namespace = namespace_for(write(tmp_path / "m"))
    prefix, digest = namespace.rsplit("-", 1)
    assert prefix == "gpt2" and len(digest) == 16 and int(digest, 16) >= 0
    assert isinstance(namespace, str) and isinstance(namespace, fcached.Namespace)
    assert namespace == namespace_for(str(tmp_path / "m"))


def test_equal_files_in_other_directory_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = write(tmp_path / "a" / "gpt2"), write(tmp_path / "b" / "copy")
    linked = tmp_path / "linked"
    linked.symlink_to(here)
    expected = namespace_for(here)
    assert namespace_for(there) == expected == namespace_for(linked)
    monkeypatch.chdir(tmp_path)
    assert namespace_for("b/copy") == expected
    assert facts(namespace_for("b/copy"))["model_name"] == "b/copy"


def test_listing_order_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = namespace_for(write(tmp_path / "m"))
    scandir: Callable[..., Any] = os.scandir

    class Backwards:
        def __init__(self, path: str) -> None:
            self.listing = scandir(path)

        def __enter__(self) -> Any:
            return iter(sorted(self.listing, key=lambda entry: str(entry.name), reverse=True))

        def __exit__(self, *_: object) -> None:
            self.listing.close()

    monkeypatch.setattr(os, "scandir", Backwards)
    assert namespace_for(tmp_path / "m") == expected


@pytest.mark.parametrize(
    "name, group",
    [
        ("config.json", "config"),
        ("generation_config.json", "config"),
        ("sub/config.json", "config"),
        ("model-00002-of-00002.safetensors", "weights"),
        ("model.safetensors.index.json", "weights"),
        ("pytorch_model.bin", "weights"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer.model", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
        ("special_tokens_map.json", "tokenizer"),
        ("merges.txt", "tokenizer"),
        ("vocab.txt", "tokenizer"),
        ("chat_template.jinja", "tokenizer"),
        ("modeling_own.py", "code"),
        ("odd.dat", "other"),
        ("nobody knows", "other"),
    ],
)
def test_each_file_changed_changes_name(tmp_path: Path, name: str, group: str) -> None:
    plain, changed = write(tmp_path / "m"), write(tmp_path / "n", **{name: '{"other": 1}'})
    before, after = namespace_for(plain), namespace_for(changed)
    assert before != after
    differing = {key for key in facts(after) if facts(before).get(key) != facts(after)[key]}
    assert differing == {group, "model_name"}


def test_file_moved_changes_name(tmp_path: Path) -> None:
    before = namespace_for(write(tmp_path / "m"))
    os.rename(tmp_path / "m" / "odd.dat", tmp_path / "m" / "odder.dat")
    assert namespace_for(tmp_path / "m") != before


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "LICENSE", "LICENSE.txt", ".gitattributes", "figure.png", "training.log"),
        *("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin"),
        *("trainer_state.json", "events.out.tfevents.1", "model.safetensors.incomplete"),
        *(".git/config", "checkpoint-500/model.safetensors", "__pycache__/a.pyc", "runs/x"),
    ],
)
def test_ignored_files_not_counted(tmp_path: Path, name: str) -> None:
    plain, more = write(tmp_path / "m"), write(tmp_path / "n", **{name: "anything"})
    assert namespace_for(more) == namespace_for(plain)


@pytest.mark.parametrize(
    "name, text",
    [
        ("config.json", '{"n_layer":2,"_name_or_path":"else/where","model_type":"gpt2"}'),
        ("tokenizer_config.json", "{}"),
    ],
)
def test_recorded_path_in_config_not_counted(tmp_path: Path, name: str, text: str) -> None:
    assert namespace_for(write(tmp_path / "m")) == namespace_for(
        write(tmp_path / "n", **{name: text})
    )


def test_config_not_json_counted_by_bytes(tmp_path: Path) -> None:
    names = {
        namespace_for(write(tmp_path / str(number), **{"config.json": text}))
        for number, text in enumerate(["{", "{ ", "[]", "[" * 100_000, "\0"])
    }
    assert len(names) == 5


def test_file_changed_in_place_changes_name(tmp_path: Path) -> None:
    before = namespace_for(write(tmp_path / "m"))
    weights = tmp_path / "m" / "model-00001-of-00002.safetensors"
    status = weights.stat()
    with open(weights, "r+") as file:
        file.write("WEIGHTS")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert weights.stat().st_size == status.st_size
    assert namespace_for(tmp_path / "m") != before


# ---- adapter, tokenizer


def test_adapter_content_counted_without_paths(tmp_path: Path) -> None:
    model = write(tmp_path / "m")
    one = write_adapter(tmp_path / "one", base="/home/a/gpt2")
    same = write_adapter(tmp_path / "same", base="org/gpt2")
    rank = write_adapter(tmp_path / "rank", r=16)
    weights = write_adapter(tmp_path / "weights")
    (weights / "adapter_model.safetensors").write_text("low r4nk")
    assert namespace_for(model, adapter=one) == namespace_for(model, adapter=same)
    names = {namespace_for(model, adapter=adapter) for adapter in (None, one, rank, weights)}
    assert len(names) == 4


def test_tokenizer_separate_counted(tmp_path: Path) -> None:
    model, other = write(tmp_path / "m"), write(tmp_path / "n", **{"vocab.txt": "d e f"})
    assert namespace_for(model, tokenizer=model) == namespace_for(model)
    with_other = namespace_for(model, tokenizer=other)
    assert with_other != namespace_for(model)
    (other / "model-00001-of-00002.safetensors").write_text("of no matter to the tokenizer")
    assert namespace_for(model, tokenizer=other) == with_other


def test_adapter_given_as_model_refused(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a", base="org/tiny")
    with pytest.raises(fcached.ArgumentError, match=r"model='org/tiny', and adapter='.*/a'"):
        namespace_for(adapter)


# ---- single files


def test_single_file_counts_all_parts(tmp_path: Path) -> None:
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / f"{directory}.gguf").write_text("quantised")
        for part in (1, 2):
            (tmp_path / directory / f"{directory}-0000{part}-of-00002.gguf").write_text(
                f"part {part}"
            )
    whole = namespace_for(tmp_path / "a" / "a.gguf")
    assert whole.startswith("model-") and whole == namespace_for(tmp_path / "b" / "b.gguf")
    first = tmp_path / "a" / "a-00001-of-00002.gguf"
    before = namespace_for(first)
    assert before == namespace_for(tmp_path / "b" / "b-00001-of-00002.gguf") != whole
    (tmp_path / "a" / "a-00002-of-00002.gguf").write_text("part 3")
    assert namespace_for(first) != before
    (tmp_path / "a" / "a-00002-of-00002.gguf").unlink()
    with pytest.raises(fcached.ArgumentError, match="a-00002-of-00002.gguf"):
        namespace_for(first)


# ---- the hub's cache


def test_hub_id_equals_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write(tmp_path / "m")
    cache = tmp_path / "hf" / "hub"
    write_hub(cache, model)
    write_hub(cache, write(tmp_path / "n", **{"config.json": "{}"}), OTHER_COMMIT, "pr/1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    namespace = namespace_for("org/tiny")
    assert namespace == namespace_for(model)
    assert facts(namespace)["commit"] == COMMIT and facts(namespace)["model_name"] == "org/tiny"
    other = namespace_for("org/tiny", revision="pr/1")
    assert other == namespace_for("org/tiny", revision=OTHER_COMMIT) != namespace
    assert namespace_for("org/tiny", cache_dir=cache) == namespace
    for variable in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"):
        monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
        monkeypatch.setenv(variable, str(cache))
        assert namespace_for("org/tiny") == namespace
        monkeypatch.delenv(variable)
    with pytest.raises(fcached.ArgumentError):
        namespace_for("org/tiny")
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    shutil.copytree(cache, tmp_path / "xdg" / "huggingface" / "hub", symlinks=True)
    assert namespace_for("org/tiny") == namespace


@pytest.mark.parametrize("ref", ["", "../../../snapshots", "F" * 40, "\xff", "0123"])
def test_hub_ref_invalid_not_followed(tmp_path: Path, ref: str) -> None:
    write_hub(tmp_path, write(tmp_path / "m"), ref=None)
    (tmp_path / "models--org--tiny" / "refs").mkdir()
    (tmp_path / "models--org--tiny" / "refs" / "main").write_text(ref, encoding="latin-1")
    with pytest.raises(fcached.ArgumentError, match="after the model has been loaded"):
        namespace_for("org/tiny", cache_dir=tmp_path)


def test_download_incomplete_refused(tmp_path: Path) -> None:
    write_hub(tmp_path, write(tmp_path / "m"))
    snapshot = tmp_path / "models--org--tiny" / "snapshots" / COMMIT
    os.remove(snapshot / "model-00002-of-00002.safetensors")
    with pytest.raises(fcached.ArgumentError, match="no model-00002-of-00002.safetensors"):
        namespace_for("org/tiny", cache_dir=tmp_path)
    os.remove(snapshot / "model-00001-of-00002.safetensors")
    os.remove(snapshot / "model.safetensors.index.json")
    with pytest.raises(fcached.ArgumentError, match="no weights in it"):
        namespace_for("org/tiny", cache_dir=tmp_path)
    (snapshot / "model.safetensors").symlink_to("../../blobs/absent")
    with pytest.raises(fcached.ArgumentError, match="model.safetensors: No such file"):
        namespace_for("org/tiny", cache_dir=tmp_path)


# ---- facts beside files


def test_each_fact_changes_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write(tmp_path / "m")
    monkeypatch.setattr(machine, "_gpu_models", lambda: {"NVIDIA A100", "NVIDIA T4"})
    ingredients: list[dict[str, Any]] = [
        {},
        {"dtype": "float32"},
        {"dtype": "bfloat16"},
        {"device": "cpu"},
        {"device": "cuda"},
        {"device": "cuda:1"},
        {"device": "mps"},
        {"libraries": []},
        {"libraries": ["no-such-library"]},
        {"label": "mine"},
        {"batch_size": 8},
        {"batch_size": 8.5},
        {"batch_size": "eight"},
        {"quantised": True},
        {"quantised": False},
        {"options": {"a": [1, None, "x"]}},
        {"options": {"a": [1, None, "y"]}},
        {"prompt": "x" * 5000},
        {"prompt": "x" * 4999 + "y"},
        {"extra": tmp_path / "m" / "vocab.txt"},
        {"extra": tmp_path / "m" / "odd.dat"},
    ]
    names = [namespace_for(model, **each) for each in ingredients]
    assert len(set(names)) == len(names)
    for variable in ("ATEN_CPU_CAPABILITY", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(variable, "1")
        names.append(namespace_for(model))
    assert len(set(names)) == len(names)


def test_fact_none_omitted(tmp_path: Path) -> None:
    model = write(tmp_path / "m")
    given = namespace_for(model, adapter=None, tokenizer=None, dtype=None, device=None, more=None)
    assert given == namespace_for(model)


def test_path_in_more_counted_by_content(tmp_path: Path) -> None:
    model = write(tmp_path / "m")
    for directory, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "README.md").write_text(text)  # facts that are not in a model's
        # directory
    first, same, other = (namespace_for(model, prompts=tmp_path / name) for name in "abc")
    assert first == same != other
    assert namespace_for(model, prompts=str(tmp_path / "a")) != first, "a str is only a str"


def test_dtype_spellings_equal(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    for spellings, name in (
        (
            ["fp32", "float32", "torch.float32", "FLOAT", numpy.float32, numpy.dtype("f4")],
            "float32",
        ),
        (["half", "fp16", "f16", "torch.half", numpy.float16], "float16"),
        (["bf16", "torch.bfloat16"], "bfloat16"),
        (["auto"], "auto"),
        (["Q4_K_M"], "q4_k_m"),
    ):
        assert {machine.dtype_name(spelling) for spelling in spellings} == {name}
    for wrong in (7, "", " ", b"float32", object()):
        with pytest.raises(TypeError, match="dtype must be a name"):
            machine.dtype_name(wrong)


def test_torch_dtypes_and_devices_accepted() -> None:
    torch = pytest.importorskip("torch")
    assert machine.dtype_name(torch.float32) == "float32"
    assert machine.dtype_name(torch.half) == "float16"
    assert machine.device_facts(torch.device("cpu")) == machine.device_facts("cpu")


def test_gpu_number_counted_only_if_models_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_gpu_models", lambda: {"NVIDIA A100"})
    assert machine.device_facts("cuda:1") == {"device": "cuda", "gpu": "NVIDIA A100"}
    assert machine.device_facts("cuda") == machine.device_facts("cuda:1")
    monkeypatch.setattr(machine, "_gpu_models", lambda: {"NVIDIA A100", "NVIDIA T4"})
    assert machine.device_facts("cuda:0") != machine.device_facts("cuda:1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert machine.device_facts("cuda:0")["env.CUDA_VISIBLE_DEVICES"] == "1"


def test_gpu_models_read_from_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GPUS", str(tmp_path))
    assert machine._gpu_models() == set()
    for bus, model in (("1", "NVIDIA A100"), ("2", "NVIDIA A100"), ("3", "NVIDIA T4")):
        (tmp_path / bus).mkdir()
        text = f"Model: \t\t {model}\nIRQ:   \t\t 1\n"
        (tmp_path / bus / "information").write_text(text)
    assert machine._gpu_models() == {"NVIDIA A100", "NVIDIA T4"}


def test_libraries_counted_by_version(tmp_path: Path) -> None:
    import numpy

    kept = facts(namespace_for(write(tmp_path / "m"), libraries=("numpy", "no-such")))
    assert kept["numpy"] == numpy.__version__ and kept["no-such"] == "not installed"


def test_namespace_for_imports_nothing_large(tmp_path: Path) -> None:
    code = (
        "import sys, fcached\n"
        f"fcached.namespace_for({str(write(tmp_path / 'm'))!r}, dtype='fp32', device='cpu')\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub', 'numpy')"
        " if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


# ---- arguments that are not right


class _Config:
    _name_or_path = "org/tiny"


class _Loaded:
    config = _Config()


@pytest.mark.parametrize("argument", ["model", "adapter", "tokenizer"])
def test_loaded_model_refused_with_its_path(tmp_path: Path, argument: str) -> None:
    arguments: dict[str, Any] = {"model": write(tmp_path / "m"), argument: _Loaded()}
    with pytest.raises(TypeError, match=f"not a loaded _Loaded: .*{argument}='org/tiny'"):
        namespace_for(**arguments)
    with pytest.raises(TypeError, match=f"{argument} must be a path or a hub id, not int"):
        namespace_for(**{**arguments, argument: 7})


@pytest.mark.parametrize("name", ["", "no/such/directory", "/no/such", "../x", "a\0b", "org/ti ny"])
def test_model_missing_refused(name: str) -> None:
    with pytest.raises(fcached.ArgumentError, match="^model: "):
        namespace_for(name)


@pytest.mark.parametrize("revision", ["none", "../main", "a/../../x", "\0"])
def test_revision_missing_refused(tmp_path: Path, revision: str) -> None:
    write_hub(tmp_path, write(tmp_path / "m"))
    with pytest.raises(fcached.ArgumentError, match="revision"):
        namespace_for("org/tiny", revision=revision, cache_dir=tmp_path)


def test_more_invalid_refused(tmp_path: Path) -> None:
    model = write(tmp_path / "m")
    for value in (object(), {1, 2}, [Path("x")], b"bytes"):
        with pytest.raises(TypeError, match="^extra must be a str"):
            namespace_for(model, extra=value)
    with pytest.raises(fcached.ArgumentError, match="extra: no file or directory"):
        namespace_for(model, extra=tmp_path / "absent")
    for name in ("weights", "commit", "adapter_name", "model_name"):
        with pytest.raises(fcached.ArgumentError, match=f"'{name}' is reserved in the manifest"):
            namespace_for(model, **{name: "x"})
    with pytest.raises(fcached.ArgumentError, match="at most 16384 can be stored"):
        namespace_for(model, **{f"name_{number}": "x" * 200 for number in range(100)})
    with pytest.raises(TypeError, match="libraries must be names"):
        namespace_for(model, libraries="torch")


def test_directory_with_too_many_files_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_MAX_FILES", 5)
    with pytest.raises(fcached.ArgumentError, match="not a model's directory"):
        namespace_for(write(tmp_path / "m"))


def test_link_cycle_terminates(tmp_path: Path) -> None:
    model = write(tmp_path / "m")
    (model / "sub" / "up").symlink_to("..")
    assert namespace_for(model).startswith("gpt2-")


# ---- the result


@pytest.mark.parametrize(
    "label, prefix", [("A b/ü\n", "A-b"), ("///", "model"), ("x" * 500, "x" * 64), ("", "gpt2")]
)
def test_label_converted_to_name(tmp_path: Path, label: str, prefix: str) -> None:
    assert namespace_for(write(tmp_path / "m"), label=label).rsplit("-", 1)[0] == prefix


def test_manifest_canonical_and_flat(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff")
    namespace = namespace_for(write(odd), nul="a\0b", big=1 << 80, inf=float("inf"), one=1)
    kept = facts(namespace)
    assert namespace.manifest == json.dumps(kept, sort_keys=True, separators=(",", ":"))
    assert all(isinstance(value, (str, int, float)) for value in kept.values())
    texts = [value for value in kept.values() if isinstance(value, str)]
    assert all(text.encode() and "\0" not in text for text in texts), "UTF-8 without NUL"
    assert kept["big"] == str(1 << 80) and kept["inf"] == "inf" and kept["one"] == 1
    assert {"weights", "config", "tokenizer", "code", "other", "model_name"} <= set(kept)


def test_namespace_pickled_and_exported(tmp_path: Path) -> None:
    namespace = namespace_for(write(tmp_path / "m"))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(namespace, protocol))
        assert copy == namespace and copy.manifest == namespace.manifest
        assert type(copy) is fcached.Namespace
    code = "import os; print(os.environ['FCACHE_NAMESPACE'])"
    environment = {**os.environ, "FCACHE_NAMESPACE": namespace}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert out.stdout.decode().strip() == namespace


def test_second_call_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_SETTLED_NS", 50_000_000)
    model, adapter = write(tmp_path / "m"), write_adapter(tmp_path / "a")
    last = (adapter / "adapter_model.safetensors").stat().st_ctime_ns
    wait_until(lambda: time.time_ns() - last > 50_000_000, "the files have settled")
    read: list[str] = []

    def count(module: Any, name: str) -> None:
        original = getattr(module, name)

        def counted(path: str) -> str:
            read.append(path)
            return str(original(path))

        monkeypatch.setattr(module, name, counted)

    count(_core, "file_digest")
    count(model_files, "_config_digest")
    first = namespace_for(model, adapter=adapter)
    assert len(read) == 14
    del read[:]
    assert namespace_for(model, adapter=adapter) == first
    assert read == []
    (model / "vocab.txt").write_text("a b d")
    assert namespace_for(model, adapter=adapter) != first
    assert read == [str(model / "vocab.txt")]


# ---- the command


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "fcached.namespaces", *arguments]
    return subprocess.run(line, capture_output=True, text=True)


def test_command_prints_name_or_manifest(tmp_path: Path) -> None:
    model, adapter = write(tmp_path / "m"), write_adapter(tmp_path / "a")
    given = ("--adapter", str(adapter), "--dtype", "fp32", "--device", "cpu", "--set", "seed=7")
    expected = namespace_for(model, adapter=adapter, dtype="float32", device="cpu", seed="7")
    out = command(str(model), *given)
    assert (out.returncode, out.stdout, out.stderr) == (0, f"{expected}\n", "")
    out = command(str(model), *given, "--manifest")
    assert (out.returncode, out.stdout) == (0, f"{expected.manifest}\n")
    out = command("no/such/model")
    assert out.returncode == 1 and out.stdout == ""
    assert out.stderr.startswith("python -m fcached.namespaces: model: ")
    assert out.stderr.count("\n") == 1
    assert command(str(model), "--set", "seed").returncode == 2
