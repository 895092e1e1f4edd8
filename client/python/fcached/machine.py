"""What a model's numbers depend on beside its files: element type, device, processor, libraries.

Nothing here imports numpy or torch, or initialises CUDA: a parent that names a namespace may fork.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterable
from typing import Any

# Distributions that compute, or decide what is computed; the others only load and store.
LIBRARIES = (
    *(
        "numpy",
        "torch",
        "transformers",
        "tokenizers",
        "sentencepiece",
        "tiktoken",
        "peft",
        "accelerate",
    ),
    *("bitsandbytes", "torchao", "auto-gptq", "gptqmodel", "autoawq", "optimum", "hqq", "quanto"),
    *("flash-attn", "xformers", "kernels", "triton", "liger-kernel", "unsloth", "deepspeed"),
    *("mamba-ssm", "causal-conv1d", "flash-linear-attention", "intel-extension-for-pytorch"),
    *("vllm", "sglang", "llama-cpp-python", "ctranslate2", "exllamav2", "onnxruntime"),
    *("onnxruntime-gpu", "openvino", "mlx", "mlx-lm", "jax", "jaxlib", "flax", "tensorflow"),
    *("dlm-sway", "lm-eval"),
)

# Settings that choose other kernels, or other arithmetic in them, behind the program's back.
_CHOICE_OF_KERNELS = (
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE"),
    *("OPENBLAS_CORETYPE", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("CUBLAS_WORKSPACE_CONFIG", "TORCH_BLAS_PREFER_CUBLASLT", "TORCH_BLAS_PREFER_HIPBLASLT"),
)

_CHOICE_OF_GPU = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")

_DTYPES = {
    "float": "float32",
    "fp32": "float32",
    "f32": "float32",
    "half": "float16",
    "fp16": "float16",
    "f16": "float16",
    "bf16": "bfloat16",
    "double": "float64",
    "fp64": "float64",
    "f64": "float64",
}
_GPUS = "/proc/driver/nvidia/gpus"


def dtype_name(dtype: Any) -> str:
    """One name for each element type, of a str, a torch dtype, or a numpy dtype or scalar class:
    ``torch.float32``, ``np.float32``, "torch.float32" and "fp32" are all "float32". A name that
    is not known stays as it is, in lower case."""
    name: object
    if isinstance(dtype, str):
        name = dtype
    elif isinstance(dtype, type):
        name = dtype.__name__
    elif type(dtype).__module__ == "torch":
        name = str(dtype)
    else:
        name = getattr(dtype, "name", None)  # numpy.dtype's
    if not isinstance(name, str) or not name.strip():
        raise TypeError(
            f"dtype must be a name such as 'float32', or torch's or numpy's dtype; got {dtype!r}"
        )
    name = name.strip().lower()
    for prefix in ("torch.", "numpy.", "np."):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    return _DTYPES.get(name, name)


def _gpu_models() -> set[str]:
    """The names of this machine's NVIDIA GPUs, as the driver tells without CUDA."""
    models = set()
    try:
        for gpu in os.listdir(_GPUS):
            with open(os.path.join(_GPUS, gpu, "information"), encoding="utf-8") as file:
                for line in file:
                    key, _, value = line.partition(":")
                    if key == "Model":
                        models.add(value.strip())
    except (OSError, ValueError):
        return set()
    return models


def _processor() -> str:
    """The processor's model, which BLAS libraries choose their kernels by."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return f"{platform.machine()} {value.strip()}"
    except OSError:
        pass
    return platform.machine()


def _set_among(names: tuple[str, ...]) -> dict[str, str]:
    """The environment variables that are set, as "env.NAME"."""
    return {f"env.{name}": os.environ[name] for name in names if name in os.environ}


def device_facts(device: Any) -> dict[str, str]:
    """What a str, a torch.device or None says of the kernels that will run.

    "cpu" gives the processor. "cuda:1" gives "cuda" and the GPU's name, where all GPUs of this
    machine are of one model: then its number does not matter. Where they are not, or another name
    or none leaves the choice to the program, all that the choice depends on is told."""
    if not isinstance(device, (str, type(None))) and type(device).__module__ != "torch":
        raise TypeError(
            f"device must be a name such as 'cuda:0', or a torch.device; got {device!r}"
        )
    name = "" if device is None else str(device).strip().lower()
    kind = name.partition(":")[0]
    if kind == "cpu":
        return {"device": kind, "cpu": _processor()}
    models = _gpu_models()
    if kind == "cuda" and len(models) == 1:
        return {"device": kind, "gpu": models.pop()}
    facts = {"cpu": _processor(), **_set_among(_CHOICE_OF_GPU)}
    if name:
        facts["device"] = name
    if models:
        facts["gpu"] = ", ".join(sorted(models))
    return facts


def variable_facts() -> dict[str, str]:
    """The variables that choose kernels, those of them that are set, as "env.NAME"."""
    return _set_among(_CHOICE_OF_KERNELS)


@functools.lru_cache(maxsize=None)
def _version(distribution: str) -> str | None:
    """The installed version; None where it is not installed. What this process has imported does
    not change when the disk does, so it is asked for once."""
    import importlib.metadata  # 13 ms

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def library_facts(libraries: Iterable[str] | None) -> dict[str, str]:
    """Distribution to version, without importing any. None: those of LIBRARIES that are
    installed. Of what is given by name, "not installed" is told as well."""
    if libraries is None:
        found = ((name, _version(name)) for name in LIBRARIES)
        return {name: version for name, version in found if version is not None}
    if isinstance(libraries, str):
        raise TypeError(f"libraries must be names in a list or tuple; got the str {libraries!r}")
    facts = {}
    for name in libraries:
        if not isinstance(name, str) or not name:
            raise TypeError(f"libraries must be names of distributions; got {name!r}")
        facts[name] = _version(name) or "not installed"
    return facts
