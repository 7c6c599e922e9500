from pathlib import Path
from threading import Thread

from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import Trial, trials_of
from tests.experiments.compare.conftest import Done
from tests.experiments.compare.world import write_study


def named(trial: Trial) -> dict[str, object]:
    return {**trial.key, "identity": trial.identity}


def test_states_are_told_by_records_and_claims(done: Done, trials: list[Trial], tmp_path: Path) -> None:
    ledger = Ledger(done.study.folder / "other")
    first, second, third, *_ = trials
    ledger.add({"kind": "run", **named(first)})
    ledger.add({"kind": "failed", **named(second), "final": True})
    ledger.add({"kind": "run", "identity": "of another recipe"})
    with claim(ledger.claims / third.claim) as mine:
        assert mine
        states = ledger.states(trials)
    assert list(states.values())[:4] == ["done", "failed", "running", "missing"]
    assert ledger.states(trials)[third.claim] == "missing"
    # What a worker that was killed has left names nobody who lives.
    (ledger.claims / third.claim).write_text('{"host": "nowhere", "pid": 1, "since": "x"}\nnot a holder')
    assert ledger.states(trials)[third.claim] == "missing"


def test_the_newest_record_of_a_trial_counts(done: Done, trials: list[Trial]) -> None:
    ledger = Ledger(done.study.folder / "again")
    ledger.add({"kind": "failed", **named(trials[0]), "final": False})
    ledger.add({"kind": "run", **named(trials[0])})
    assert ledger.records(trials)[trials[0].claim]["kind"] == "run"


def test_one_recipe_in_two_arms_is_two_runs(tmp_path: Path) -> None:
    arms = {"single_task": "single_task", "some": {"groups": [["topic"]]}}
    trials = [
        trial for trial in trials_of(load_study(write_study(tmp_path, arms=arms))) if trial.part.task == "topic"
    ]
    first, second = trials
    assert first.identity == second.identity
    ledger = Ledger(tmp_path / "out")
    ledger.add({"kind": "run", **named(first)})
    assert list(ledger.states(trials).values()) == ["done", "missing"]


def test_what_is_set_aside_are_other_recipes_in_the_place_of_trials(
    done: Done, trials: list[Trial], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    unit = {"arm": "average", "seed": 0, "fold": None}
    stay = [
        {"kind": "run", **named(trials[0])},
        {"kind": "run", **named(trials[0]), "seed": 7, "identity": "of a seed that is not asked for"},
        {"kind": "rows", **unit, "arm": "gone", "identity": "of an arm that the study has no longer"},
        {"kind": "rows", **unit, "against": "gone", "identity": "against an arm that the study has no longer"},
        {"kind": "merged", **unit, "identity": "counts"},
    ]
    go = [
        {"kind": "run", **named(trials[0]), "identity": "of another recipe"},
        {"kind": "merged", **unit, "identity": "of other runs"},
        {"kind": "rows", **unit, "against": "single_task", "identity": "of other runs"},
    ]
    older = {**stay[0], "baselines": None}  # of the same run: not said to have changed
    for record in (*go, older, *stay):
        ledger.add(record)
    assert ledger.set_aside(trials, {"counts"}) == 1  # of the run, as what was made of runs has not changed itself
    assert ledger.results.all() == stay
    assert ledger.set_aside(trials, ()) == 0
    assert ledger.results.all() == stay[:-1]  # without what was merged and does not count now


def test_records_are_set_aside_only_while_nobody_adds_any(done: Done, trials: list[Trial], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add({"kind": "run", **named(trials[0]), "identity": "of another recipe"})
    moved: list[int] = []
    aside = Thread(target=lambda: moved.append(ledger.set_aside(trials, ())))
    with claim(ledger.claims / "results"):
        aside.start()
        aside.join(0.2)
        assert (moved, len(ledger.results.all())) == ([], 1)
    aside.join()
    assert (moved, ledger.results.all()) == ([1], [])
