import contextlib
import time
from pathlib import Path

import pytest
import torch.distributed
import torch.multiprocessing

from hf_mtl.data.processes import main_process_first


def test_one_process_needs_no_group() -> None:
    with main_process_first():
        assert not torch.distributed.is_initialized()


def _work(rank: int, folder: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", str(rank))
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
        for fails in (True, False):
            with contextlib.suppress(ValueError), main_process_first():
                seen = (Path(folder) / f"0-{fails}").exists()
                time.sleep(0.2 * (rank == 0))
                (Path(folder) / f"{rank}-{fails}").write_text(str(seen))
                if fails:
                    raise ValueError("bad data")
        torch.distributed.destroy_process_group()


def test_the_main_process_goes_first_and_lets_the_others_on_even_if_it_fails(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_work, (str(tmp_path),), nprocs=2)
    for fails in (True, False):
        assert [(tmp_path / f"{rank}-{fails}").read_text() for rank in (0, 1)] == ["False", "True"]
