"""Runs the harness's command and wraps the models that it creates. Its sources stay unchanged."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from ..fail_open import attempt
from . import wrap
from .sharing import LOGGER


class _Maker:
    """Replaces a model's class in the harness: wraps the models that it creates, and forwards all
    other attributes."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def create_from_arg_string(
        self, arg_string: str, additional_config: dict[str, Any] | None = None
    ) -> Any:
        parse = importlib.import_module("lm_eval.utils").simple_parse_args_string
        lm = self._model.create_from_arg_string(arg_string, additional_config)
        return _share(lm, parse(arg_string))

    def create_from_arg_obj(
        self, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> Any:
        arguments = dict(arg_dict)
        lm = self._model.create_from_arg_obj(arg_dict, additional_config)
        return _share(lm, arguments)

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return self._model(*args, **kw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _share(lm: Any, arguments: Mapping[str, Any]) -> Any:
    """Wraps a model. If that fails, logs a warning, and the evaluation continues unshared."""
    try:
        return wrap(lm, arguments=arguments)
    except Exception as error:
        attempt(LOGGER.warning, "fcached: sharing is off: %s", error)
        return lm


def share_models() -> None:
    """Makes the harness wrap each model that it creates by name from now on."""
    registry: Any = importlib.import_module("lm_eval.api.registry")
    get_model = registry.get_model

    def get_shared_model(model_name: str) -> Any:
        return _Maker(get_model(model_name))

    registry.get_model = get_shared_model


def main() -> None:
    """Runs ``lm-eval`` with the arguments of the process, and exits with its status."""
    try:
        command = importlib.import_module("lm_eval.__main__")
    except ModuleNotFoundError as error:
        if error.name not in ("lm_eval", "lm_eval.__main__"):
            raise
        sys.exit("fcached.lm_eval: lm-evaluation-harness is not installed: pip install lm-eval")
    share_models()
    command.cli_evaluate()
