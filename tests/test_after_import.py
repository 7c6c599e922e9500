"""Something is done right after the import of a module, and once."""

import importlib
import sys
from pathlib import Path

import pytest

from hf_mtl.after_import import after_import


def test_it_is_done_after_the_import_or_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hf_mtl_awaited.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen: list[int] = []

    def then() -> None:
        seen.append(sys.modules["hf_mtl_awaited"].value)

    finders = list(sys.meta_path)
    after_import("hf_mtl_awaited", then)
    importlib.import_module("json")
    assert seen == []
    try:
        importlib.import_module("hf_mtl_awaited")
        importlib.import_module("hf_mtl_awaited")
        assert seen == [3]
        assert sys.meta_path == finders
        after_import("hf_mtl_awaited", then)
        assert seen == [3, 3]
    finally:
        sys.modules.pop("hf_mtl_awaited", None)


def test_a_module_that_is_not_there_is_missing_as_ever() -> None:
    finders = list(sys.meta_path)
    after_import("hf_mtl_never", lambda: None)
    with pytest.raises(ModuleNotFoundError, match="hf_mtl_never"):
        importlib.import_module("hf_mtl_never")
    assert sys.meta_path == finders
