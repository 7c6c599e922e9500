"""Workers of this machine."""

import io
import logging
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


def test_what_libraries_log_is_kept_there_too_and_shown_again_afterwards(tmp_path: Path) -> None:
    handler = logging.StreamHandler(shown := io.StringIO())
    library = logging.getLogger("transformers")
    library.addHandler(handler)
    try:
        for folder in ("a", "b"):
            with output_kept(tmp_path / folder):
                library.getChild("modeling_utils").warning(f"LOAD REPORT of {folder}")
        library.warning("afterwards")
    finally:
        library.removeHandler(handler)
    assert shown.getvalue() == "afterwards\n"
    for folder in ("a", "b"):
        assert f"LOAD REPORT of {folder}" in (tmp_path / folder / OUTPUT).read_text()
