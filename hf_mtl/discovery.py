"""Methods register themselves when their modules are imported: import all of a package's."""

import importlib
import pkgutil


def import_modules(package: str) -> None:
    """Import every module of a package.

    Args:
        package: Its dotted name.
    """
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
