import sys

import pytest

from hf_mtl.errors import ModelError
from hf_mtl.modeling.backbone import resolve_backbone
from hf_mtl.modeling.packages import package_folder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages that say so when they are imported, and something beside it."""
    for folder in ("one/sub/model", "one/model", "namespace/part/model"):
        (tmp_path / "site" / folder).mkdir(parents=True)
    for folder in ("one", "one/sub"):
        (tmp_path / "site" / folder / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "site" / "module.py").write_text("raise SystemExit('imported')")
    (tmp_path / "outside").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


@pytest.mark.parametrize(
    ("reference", "folder"),
    [
        ("python:one/model", "one/model"),
        ("python:one.sub/model", "one/sub/model"),
        ("python:one/sub/../model", "one/sub/../model"),
        ("python:one", "one"),
        ("python:one/", "one"),
        ("python:namespace.part/model", "namespace/part/model"),
        ("python:namespace/part/model", "namespace/part/model"),
    ],
)
def test_a_folder_is_found_and_nothing_is_imported(site, reference, folder):
    before = set(sys.modules)
    assert package_folder(reference) == site / folder
    assert resolve_backbone(reference) == str(site / folder)
    assert not {"one", "one.sub", "namespace"} & (set(sys.modules) - before)


@pytest.mark.parametrize("folder", ["..", "../../outside", "/etc", "model/../../..", "linked", "/", "\0"])
def test_a_package_is_not_left(site, folder):
    (site / "one" / "linked").symlink_to(site.parent / "outside")
    with pytest.raises(ModelError, match="leaves the package 'one'. Name a folder inside it"):
        package_folder(f"python:one/{folder}")


def test_a_package_may_lie_behind_a_link(site):
    (site / "linked").symlink_to(site / "one")
    assert package_folder("python:linked/model") == site / "linked" / "model"


@pytest.mark.parametrize("name", ["", ".", "..", "one.", ".one", "one..sub", "one sub", "-c", "a-b"])
def test_what_is_no_name_of_a_package_is_a_mistake(site, name):
    with pytest.raises(ModelError, match="is no name of a Python package. Write python:package/folder"):
        package_folder(f"python:{name}/model")


@pytest.mark.parametrize("name", ["absent", "module", "sys", "one.absent", "one.model.absent"])
def test_what_is_no_package_is_said(site, name):
    with pytest.raises(ModelError, match=f"Python package '{name}' is not installed"):
        package_folder(f"python:{name}/model")


def test_a_missing_folder_is_said_with_those_that_are_there(site):
    with pytest.raises(ModelError, match=r"package 'one' has no folder 'modle'\. Folders: model, sub\. Did you mean"):
        package_folder("python:one/modle")
    with pytest.raises(ModelError, match="has no folder 'aaa"):
        package_folder("python:one/" + "a" * 5000)
