import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch.distributed
import torch.multiprocessing

from hf_mtl.data.processes import from_first
from hf_mtl.errors import DataError


def test_one_process_works_for_itself() -> None:
    assert from_first(lambda: 3) == 3


def _fail(error: Exception) -> None:
    raise error


def _first(folder: Path, rank: int) -> None:
    """Note what each process gets of work that the first does, and how it hears of failures."""
    worked: list[int] = []
    heard: list[str] = [str(from_first(lambda: worked.append(rank) or time.sleep(2.5) or 0.1 + 0.2))]
    errors: tuple[Exception, ...] = (DataError("a hole"), ValueError("of a user"))
    for error in errors:
        try:
            from_first(partial(_fail, error))
        except Exception as raised:
            heard.append(f"{type(raised).__name__}: {raised}")
    (folder / f"heard-{rank}").write_text("\n".join(heard))
    assert worked == [0] * (rank == 0)


def _work(rank: int, folder: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", str(rank))
        # The work takes longer than collectives wait.
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=2)
        )
        _first(Path(folder), rank)
        torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worked")
    torch.multiprocessing.spawn(_work, (str(folder),), nprocs=2)
    return folder


@pytest.mark.slow
def test_what_the_first_finds_or_fails_at_is_heard_by_the_others(worked: Path) -> None:
    first, other = [(worked / f"heard-{rank}").read_text().splitlines() for rank in (0, 1)]
    assert first == ["0.30000000000000004", "DataError: a hole.", "ValueError: of a user"]
    assert other == [*first[:2], "LostProcessError: the first process of the run has failed (ValueError: of a user)."]
