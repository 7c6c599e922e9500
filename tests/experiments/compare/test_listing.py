from hf_mtl.experiments.compare.listing import listing
from hf_mtl.experiments.compare.load import load_study
from tests.experiments.compare.conftest import Done


def test_a_study_is_listed_with_what_is_left_and_the_time_for_it(done: Done) -> None:
    lines = listing(done.study).splitlines()
    assert lines[0].startswith(" failed  broken seed 0: training has diverged")
    assert [line.split(" s ")[0].rstrip("0123456789") for line in lines[1:4]] == [
        "",
        "single_task: 2 done, ",
        "uw: 1 done, ",
    ]
    assert lines[4] == "broken: 1 failed"
    assert lines[-2:] == [f"4 runs in {done.study.folder}: 3 done, 1 failed", "Nothing is left to do."]
    more = load_study(done.path, ["seeds=2", "arms.other={model.head: mlp}"])
    lines = listing(more, workers=2).splitlines()
    assert lines[-2].endswith("10 runs in " + str(done.study.folder) + ": 3 done, 1 failed, 6 missing")
    assert lines[-1].startswith("About ")
    assert lines[-1].endswith(" left with 2 workers.")
    elsewhere = load_study(done.path, [f"output_dir={done.path.parent / 'nothing'}"])
    assert listing(elsewhere).endswith("How long that takes is known once a run is finished.")
    assert not (done.path.parent / "nothing").exists()
