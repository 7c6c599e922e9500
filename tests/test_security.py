"""What .github/SECURITY.md promises is held by tests, which it names."""

import ast
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch

from hf_mtl.errors import CheckpointError
from hf_mtl.inference.manifest import seal
from tests.training import runs

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / ".github" / "SECURITY.md").read_text("utf-8")
OF_THE_TRAINER = "hf_mtl/training/saving/sharded.py"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


def test_every_section_of_promises_names_tests():
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)+)", PAGE, flags=re.M))
    assert list(sections) == ["Never run", "Run when you say so", "Never written", "Read", "Report"]
    for name in ("Never run", "Run when you say so", "Never written"):
        assert "`tests/" in sections[name]
    assert len(NAMED) > 10


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_the_tests_that_the_page_names_are_there(file, test):
    assert (ROOT / file).is_file()
    assert f"def {test}" in (ROOT / file).read_text("utf-8")


def test_no_code_of_ours_unpickles_or_evaluates_text():
    # These errors alone may be imported: what torch raises in place of running something, and what cannot be hashed.
    calls = (
        r"(?<![\w.])(?:eval|exec|__import__)\(|\bpickle\b(?! import (?:Unp|P)icklingError$)|\bmarshal\b"
        r"|torch\.load|\bimport load\b|weights_only=False"
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "hf_mtl").rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if re.search(calls, line) and not line.strip().startswith(("#", '"'))
    ]
    # The first two read what another process of the same run has just made, as multiprocessing and torch do; the
    # third is looked at below.
    ours = ("hf_mtl/data/sharing.py", "hf_mtl/data/workers.py", OF_THE_TRAINER)
    assert [line for line in found if "Nothing here is a pickle" not in line and not line.startswith(ours)] == []


def test_the_trainers_own_files_are_read_as_weights_alone():
    tree = ast.parse((ROOT / OF_THE_TRAINER).read_text("utf-8"))
    names = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)]
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]
    assert len(loads) == names.count("torch.load") == 2
    for load in loads:
        assert [ast.unparse(word.value) for word in load.keywords if word.arg == "weights_only"] == ["True"]
    assert not {"eval", "exec", "__import__", "pickle", "marshal"} & set(names)


class Trap:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_checkpoint_with_a_pickle_runs_nothing(tmp_path):
    with runs.own_cache(tmp_path):
        recipe = runs.write_recipe(tmp_path, max_steps=2, eval_steps=1, save_steps=1)
        runs.train(recipe, tmp_path / "run")
        (tmp_path / "run" / "results.json").unlink()
        # After the last step nothing of them is read any more.
        shutil.rmtree(tmp_path / "run" / "checkpoint-2")
        checkpoint = tmp_path / "run" / "checkpoint-1"
        for file in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
            before = (checkpoint / file).read_bytes()
            torch.save({"state": Trap(tmp_path / f"made-{file}")}, checkpoint / file)
            seal(checkpoint)
            with pytest.raises(CheckpointError, match="checkpoint-1: .* cannot be read"):
                runs.train(recipe, tmp_path / "run", resume=True)
            (checkpoint / file).write_bytes(before)
        torch.save(Trap(tmp_path / "made-arguments"), checkpoint / "training_args.bin")
        seal(checkpoint)
        runs.train(recipe, tmp_path / "run", resume=True)  # which does not read the arguments
    assert list(tmp_path.glob("made-*")) == []
    with pytest.raises(pickle.UnpicklingError):
        torch.load(checkpoint / "training_args.bin")


def test_the_trap_of_these_tests_would_be_sprung_by_pickle(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "made")))
    assert (tmp_path / "made").exists()
