"""Something to do as soon as a module is imported, by whomever: what is heavy is not imported before."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def after_import(name: str, then: Callable[[], object]) -> None:
    """Do something once a module is there: now, if it is, else right after its import.

    Args:
        name: The module.
        then: What to do.
    """
    if name in sys.modules:
        then()
        return
    sys.meta_path.insert(0, _Waiting(name, then))


class _Waiting(MetaPathFinder):
    """Finds a module as the other finders do, and has its loader do something more."""

    def __init__(self, name: str, then: Callable[[], object]):
        self._name = name
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module, once."""
        if fullname != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_do(module: ModuleType) -> None:
            load(module)
            self._then()

        # Of this loader alone, which is that of this one module.
        spec.loader.exec_module = load_and_do  # type: ignore[method-assign]
        return spec
