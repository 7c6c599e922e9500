"""A run is ended many times at random moments, and resumed each time to the bits of one that was not.

Started by `scripts/kills`; a few of them by `test_kills`.
"""

import argparse
import contextlib
import itertools
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from hf_mtl.inference.manifest import verify
from hf_mtl.training.checkpoint import checkpoints
from tests.training import killing
from tests.training.test_resume import assert_same_bits

MOMENTS = (*killing.MOMENTS, "any time")
LONGEST = 20.0  # seconds from the start of a run to any time in it


def end_at_any_time(recipe: Path, output: Path, processes: int, how: str, random_state: random.Random) -> bool:
    """Resume a run and end it, perhaps before it has begun; False if it ended before."""
    process = killing.start(recipe, output, processes, "--resume")
    with contextlib.suppress(TimeoutError):
        deadline = time.monotonic() + random_state.random() * LONGEST
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.01)
    killing.send(process, processes, how, random_state)
    return process.wait(timeout=120) != 0


def is_gone(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def check_checkpoints(output: Path) -> None:
    """No checkpoint is half of one, however the run has ended."""
    for folder in checkpoints(output):
        verify(folder)


def end_often(folder: Path, kills: int, processes: int, seed: int) -> Counter[tuple[str, str]]:
    """End runs of one recipe so many times, go on with each, and compare every one that comes to its end.

    Returns:
        How often what was done at which moment.
    """
    recipe = killing.write_recipe(folder)
    reference = folder / "reference"
    killing.train(recipe, reference, processes)
    random_state, done, number = random.Random(seed), Counter[tuple[str, str]](), itertools.count()
    output = folder / f"run-{next(number)}"
    while done.total() < kills:
        moment = MOMENTS[done.total() % len(MOMENTS)]
        how = killing.HOW[done.total() // len(MOMENTS) % len(killing.HOW)]
        if moment == "any time":
            ended = end_at_any_time(recipe, output, processes, how, random_state)
        else:
            ended = killing.kill_at(recipe, output, processes, moment, random_state, how)
        if ended:
            done[moment, how] += 1
            print(f"{done.total()}: {how}, {moment}: {output.name} at {killing.last_record(output).get('step', 0)}")
            check_checkpoints(output)
        else:  # it came to its end first: another run of the recipe goes on with the kills
            assert_same_bits(output, reference)
            output = folder / f"run-{next(number)}"
    killing.train(recipe, output, processes, "--resume")
    assert_same_bits(output, reference)
    return done


def main() -> None:
    """Read the arguments, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, prog="scripts/kills")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = end_often(Path(folder), arguments.kills, arguments.processes, arguments.seed)
    for (moment, how), count in sorted(done.items()):
        print(f"{count:>4}  {how}, {moment}")
    print(f"{done.total()} ends, and every run came to the same bits")


if __name__ == "__main__":
    main()
