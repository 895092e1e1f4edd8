"""The harness's own command, with the models that it makes wrapped. Its sources are untouched."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from ..fail_open import attempt
from . import wrap
from .sharing import LOGGER


class _Maker:
    """Stands for a model's class where the harness makes one of it; for the rest it is the class."""

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
    """The evaluation is what the user is here for: without a namespace it goes on unshared."""
    try:
        return wrap(lm, arguments=arguments)
    except Exception as error:
        attempt(LOGGER.warning, "fcached: sharing is off: %s", error)
        return lm


def share_models() -> None:
    """From now on, a model that the harness makes by its name is wrapped."""
    registry: Any = importlib.import_module("lm_eval.api.registry")
    get_model = registry.get_model

    def get_shared_model(model_name: str) -> Any:
        return _Maker(get_model(model_name))

    registry.get_model = get_shared_model


def main() -> None:
    """``python -m fcached.lm_eval``: as ``lm-eval`` with the same arguments, and its exit status."""
    try:
        command = importlib.import_module("lm_eval.__main__")
    except ModuleNotFoundError as error:
        if error.name not in ("lm_eval", "lm_eval.__main__"):
            raise
        sys.exit("fcached.lm_eval: lm-evaluation-harness is not installed: pip install lm-eval")
    share_models()
    command.cli_evaluate()
