"""UA-3DTalk: a portrait video in, a 3D Gaussian avatar that speaks, with emotion and a measured confidence, out."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ua3dtalk.api import evaluate as evaluate
    from ua3dtalk.api import prepare as prepare
    from ua3dtalk.api import synthesize as synthesize
    from ua3dtalk.api import train as train
    from ua3dtalk.core.errors import UserError as UserError

    __version__: str

__all__ = ["UserError", "evaluate", "prepare", "synthesize", "train"]


def __getattr__(name: str) -> Any:
    """What ``__all__`` names, imported at its first use: ``import ua3dtalk`` by itself loads nothing."""
    if name == "__version__":
        return importlib.import_module("ua3dtalk.core.version").VERSION
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("ua3dtalk.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
