from pathlib import Path

import pytest

from hf_mtl.experiments.compare import contenders
from hf_mtl.experiments.compare.load import load_study
from tests.experiments.compare.world import write_study


def test_without_the_room_that_merges_nothing_is_said_or_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "_room", lambda: None)
    study = load_study(write_study(tmp_path, merging=["average"]))
    assert study.file.merging == ["average"]
    assert list(contenders.merged_records(tmp_path, {}, {}, ["average"], False)) == []
