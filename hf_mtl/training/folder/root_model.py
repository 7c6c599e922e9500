"""The final model of a run, at the root of its folder: either it is whole, or nothing calls it so."""

import os
from collections.abc import Iterable
from pathlib import Path

from hf_mtl.errors import CheckpointError
from hf_mtl.inference.manifest import MANIFEST, MODEL_CONFIG, listed
from hf_mtl.training.folder.own_checkpoints import remove_empty
from hf_mtl.training.folder.run_record import WORK, RunRecord, seal_of


class RootModel:
    """The model at the root of a run's folder.

    Args:
        folder: The run's folder.
        record: Its record, which learns of the files.
    """

    def __init__(self, folder: Path, record: RunRecord):
        self._folder = folder
        self._record = record

    @property
    def exists(self) -> bool:
        """Tell whether a sealed model is there."""
        return MODEL_CONFIG in self._sealed()

    def publish(self, staged: Path) -> None:
        """Move a complete, sealed model from a staging folder to the root, file by file.

        The old manifest goes first and the new one comes last, after the config: what breaks off in between leaves a
        root that nothing calls whole.

        Args:
            staged: The staging folder.

        Raises:
            RunError: If somebody else's file has the place of one; nothing is moved.
        """
        seals = {**listed(staged), MANIFEST: seal_of(staged / MANIFEST)}
        self._record.refuse_others(seals)
        self._record.expect(seals)
        old = [name for name in self._sealed() if name not in seals and self._record.is_own(name)]
        for name in [MANIFEST, *old]:
            (self._folder / name).unlink(missing_ok=True)
        for name in sorted(seals, key=lambda name: (name == MANIFEST, name == MODEL_CONFIG)):
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, self._folder / name)
        self._record.forget(old)
        self._record.settle(seals)
        remove_empty(staged)
        remove_empty(self._folder / WORK)

    def _sealed(self) -> Iterable[str]:
        """Return the files of the model, as its manifest lists them; none where there is no manifest."""
        try:
            return listed(self._folder)
        except CheckpointError:
            return ()
