"""Workers of this machine."""

import sys
from pathlib import Path

from hf_mtl.experiments.workers import OUTPUT, output_kept, run_local


def test_local_workers_share_the_cores_and_one_that_is_killed_leaves_the_others_alone(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys, time\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "try:\n"
        "    (folder / 'first').touch(exist_ok=False)\n"
        "except FileExistsError:\n"
        "    time.sleep(0.5)\n"
        "    (folder / 'second').write_text(os.environ['OMP_NUM_THREADS'])\n"
        "    sys.exit()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    codes = run_local([sys.executable, "-c", program], 2)
    assert sorted(codes) == [-9, 0]
    assert int((tmp_path / "second").read_text()) >= 1


def test_what_a_trial_prints_is_kept_in_its_folder_from_all_who_were_at_it(tmp_path: Path) -> None:
    for number in (1, 2):
        with output_kept(tmp_path / "trial"):
            print("out", number)
            print("err", number, file=sys.stderr)
    assert (tmp_path / "trial" / OUTPUT).read_text() == "out 1\nerr 1\nout 2\nerr 2\n"
