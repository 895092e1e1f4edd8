"""Facts beside its files that a model's numbers depend on: element type, device, processor,
libraries.

This module imports neither numpy nor torch and does not initialize CUDA, so a parent process that
names a namespace may fork.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterable
from typing import Any

# Distributions that compute, or choose the computation. Others only load and store.
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

# Environment variables by which libraries choose kernels or arithmetic.
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
    """The canonical name of an element type, from a str, a torch dtype, or a numpy dtype or scalar
    class: ``torch.float32``, ``np.float32``, "torch.float32" and "fp32" are all "float32". An
    unknown name is returned in lower case."""
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
    """The names of this machine's NVIDIA GPUs, read from the driver without CUDA."""
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
    """The processor's model, by which BLAS libraries choose kernels."""
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
    """Those of the environment variables that are set, as "env.NAME"."""
    return {f"env.{name}": os.environ[name] for name in names if name in os.environ}


def device_facts(device: Any) -> dict[str, str]:
    """Facts on the kernels that will run, from a device: a str, a torch.device or None.

    "cpu" gives the processor. "cuda:1" gives "cuda" and the GPU's name if all GPUs of this machine
    have the same model, because its number does not matter then. In all other cases the program
    chooses the device, and the result has every fact that its choice depends on."""
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
    """The environment variables that are set and choose kernels, as "env.NAME"."""
    return _set_among(_CHOICE_OF_KERNELS)


@functools.lru_cache(maxsize=None)
def _version(distribution: str) -> str | None:
    """The installed version, or None. Cached, because the modules that this process imported do not
    change when the disk does."""
    import importlib.metadata  # 13 ms

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def library_facts(libraries: Iterable[str] | None) -> dict[str, str]:
    """Maps distributions to versions, without importing them. None: those of LIBRARIES that are
    installed. A distribution given by name may be "not installed"."""
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
