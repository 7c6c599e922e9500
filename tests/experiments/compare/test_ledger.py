from hf_mtl.experiments.claims import claim
from hf_mtl.experiments.compare.ledger import Ledger
from hf_mtl.experiments.compare.trials import Trial
from tests.experiments.compare.conftest import Done


def test_states_are_told_by_records_and_claims(done: Done, trials: list[Trial], tmp_path: object) -> None:
    ledger = Ledger(done.study.folder / "other")
    first, second, third, *_ = trials
    ledger.add({"kind": "run", "identity": first.identity})
    ledger.add({"kind": "failed", "identity": second.identity, "final": True})
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
    ledger.add({"kind": "failed", "identity": trials[0].identity, "final": False})
    ledger.add({"kind": "run", "identity": trials[0].identity})
    assert ledger.records(trials)[trials[0].claim]["kind"] == "run"
