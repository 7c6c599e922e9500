"""Heads that were trained apart on one frozen encoder become one model."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from torch import Tensor

from hf_mtl.errors import Mistake, ModelError, UserError, known
from hf_mtl.inference import manifest
from hf_mtl.inference.new_folder import check_free, made_whole
from hf_mtl.inference.same_encoder import Reader, Trained, check_same_encoder, encoder_weights
from hf_mtl.modeling import MultiTaskConfig, MultiTaskModel
from hf_mtl.modeling.dropout import dropout_fields
from hf_mtl.modeling.kept import Taken
from hf_mtl.modeling.kept_groups import moved_peers
from hf_mtl.modeling.tokenizer_files import find_tokenizer, save_without_state
from hf_mtl.recipe.checks import name_mistakes
from hf_mtl.tasks.head_shares import shares_of

_HEADS = "heads."
_OWN = "private_adapters."


def join_runs(
    runs: Sequence[str | Path], output_dir: str | Path, rename: Mapping[str, str] | None = None
) -> MultiTaskModel:
    """Put the heads of trained models on the encoder that they all have, and write it as one model.

    The encoders must be the same to the bit, as those of runs with ``model.freeze: encoder`` on one backbone are.
    Each task predicts as before, to the bit, and keeps class names, statistics, tuned decisions and temperature.

    Args:
        runs: Two or more: folders of runs, of their checkpoints or of models, or Hub ids.
        output_dir: The folder of the joined model and its tokenizer. It must not be there, or be empty.
        rename: New names of tasks by old ones, as no two tasks can have the same. Where several runs have the old
            name, the number of the run stands before it, from 1: ``2:topic``.

    Returns:
        The joined model.

    Raises:
        UserError: If the models cannot be joined or the folder is not free; says what differs, and writes nothing.
        DiskError: If the folder cannot be written.
    """
    place = Path(output_dir)
    check_free(place, "output_dir")
    models = _read([str(run) for run in runs])
    taken = _renamed(models, rename or {})
    check_same_encoder(models)
    model = _joined(models, taken)
    model.remember_tokenizer(models[0].tokenizer)
    with made_whole(place) as folder:
        model.save_pretrained(folder)
        save_without_state(find_tokenizer(model._tokenizer), folder)
        manifest.seal(folder)
    return model


def _read(names: Sequence[str]) -> list[Trained]:
    """Look at the models; all that are no models are said at once."""
    mistakes: list[Mistake] = []
    if len(names) < 2:
        mistakes.append(Mistake("", f"found {len(names)} run", "Give two or more to join"))
    places = Counter(os.path.realpath(name) for name in names)
    twice = [name for name in dict.fromkeys(names) if places[os.path.realpath(name)] > 1]
    mistakes += [Mistake("", f"{name} is given twice", "Give each run once") for name in twice]
    models = []
    for name in dict.fromkeys(names):
        try:
            models.append(Trained.read(name))
        except UserError as error:
            mistakes += error.mistakes
    files = [sorted({os.path.realpath(path) for path in model.weights.files.values()}) for model in models]
    again = [model.name for place, model in enumerate(models) if files[place] in files[:place]]
    mistakes += [Mistake("", f"{name} is one of the others by another name", "Give each run once") for name in again]
    if mistakes:
        raise ModelError(mistakes)
    return models


# ---- Names ----


def _renamed(models: Sequence[Trained], rename: Mapping[str, str]) -> list[Taken]:
    """Choose the names of the tasks of all models.

    Raises:
        ModelError: If a name to change is not there or not clear, a new one is none, or two tasks have the same.
    """
    names: list[dict[str, str]] = [{name: name for name in model.config.tasks or ()} for model in models]
    mistakes: list[Mistake] = []
    for asked, new in rename.items():
        mistakes += name_mistakes(new, "rename")
        number, old = _numbered(asked)
        where = [index for index, found in enumerate(names) if old in found and number in (None, index + 1)]
        if len(where) == 1:
            names[where[0]][old] = new
            continue
        if not where:
            there = known({name for found in names for name in found}, old)
            mistakes.append(Mistake("rename", f"no run has a task '{asked}'", there))
        else:
            which = ", ".join(f"{index + 1} ({models[index].name})" for index in where)
            remedy = f"Put the number of one before it: {where[-1] + 1}:{old}={new}"
            mistakes.append(Mistake("rename", f"the runs {which} have a task '{old}'", remedy))
    mistakes += _same_names(models, names)
    for model, found in zip(models, names, strict=True):
        mistakes += moved_peers(model.config, found)
    if mistakes:
        raise ModelError(mistakes)
    shares = _shares_apart(models)
    return [Taken(model.config, new, apart) for model, new, apart in zip(models, names, shares, strict=True)]


def _shares_apart(models: Sequence[Trained]) -> list[dict[str, str]]:
    """Give heads that tasks of different runs share by the same name names of their own: ``x``, ``x_2``, ``x_3``."""
    theirs = [dict.fromkeys(shares_of(model.config.task_objects)) for model in models]
    taken = {share for found in theirs for share in found}
    seen: set[str] = set()
    renamed: list[dict[str, str]] = []
    for found in theirs:
        new = {}
        for share in found:
            name = share
            if share in seen:
                name = next(f"{share}_{number}" for number in count(2) if f"{share}_{number}" not in taken)
            taken.add(name)
            seen.add(share)
            new[share] = name
        renamed.append(new)
    return renamed


def _numbered(name: str) -> tuple[int | None, str]:
    found = re.fullmatch(r"(\d+):(.+)", name)
    return (int(found[1]), found[2]) if found else (None, name)


def _same_names(models: Sequence[Trained], names: Sequence[Mapping[str, str]]) -> Iterator[Mistake]:
    """Find tasks that would have the same name."""
    owners: dict[str, list[tuple[int, str]]] = {}
    for index, found in enumerate(names):
        for old, new in found.items():
            owners.setdefault(new, []).append((index, old))
    for new, having in owners.items():
        if len(having) > 1:
            which = ", ".join(models[index].name for index, _ in having)
            index, old = having[-1]
            asked = f"{index + 1}:{old}"
            remedy = f"Give one another name: --rename {asked}=NAME; in Python rename={{'{asked}': 'NAME'}}"
            yield Mistake("", f"'{new}' would be the name of a task of each of {which}", remedy)


# ---- The model ----


def _joined(models: Sequence[Trained], taken: Sequence[Taken]) -> MultiTaskModel:
    """Build the joined model of one encoder and all heads."""
    config = _config(models, taken)
    with Reader() as reader:
        weights = dict(encoder_weights(models, reader))
        precision = next(value.dtype for value in weights.values() if value.is_floating_point())
        for model, one in zip(models, taken, strict=True):
            theirs: dict[str, Tensor] = {
                name.removeprefix(_HEADS): reader.read(model, name)
                for name in model.weights.files
                if name.startswith(_HEADS)
            }
            weights |= {f"{_HEADS}{name}": value for name, value in one.weights(theirs, config).items()}
            own = {
                name.removeprefix(_OWN): reader.read(model, name)
                for name in model.weights.files
                if name.startswith(_OWN)
            }
            weights |= {f"{_OWN}{name}": value for name, value in one.renamed(own).items()}
        joined: MultiTaskModel = MultiTaskModel.from_pretrained(
            None, config=config, state_dict=weights, dtype=precision
        )
    joined.eval()
    return joined


def _config(models: Sequence[Trained], taken: Sequence[Taken]) -> MultiTaskConfig:
    """Put the configs together. What the runs have in common stays; dropout of encoders may differ."""
    configs = [model.config for model in models]
    first = configs[0]
    own_dropout = len({str(_dropouts(config)) for config in configs}) > 1
    fields: dict[str, Any] = {"tasks": {}, "origins": {}, "decisions": {}, "calibration_temperatures": {}}
    for one in taken:
        fields["tasks"] |= one.tasks(own_dropout)
        fields["origins"] |= one.origins(1 + max(fields["origins"].values(), default=0))
        for name in ("decisions", "calibration_temperatures"):
            fields[name] |= one.known(name)
    for name in ("decisions", "calibration_temperatures"):
        fields[name] = fields[name] or None
    shared = ("dropout", "backbone", "freeze", "encoder_source")
    common = {
        name: getattr(first, name)
        for name in shared
        if all(getattr(item, name) == getattr(first, name) for item in configs)
    }
    encoder = first.encoder_config
    assert encoder is not None
    return MultiTaskConfig(
        encoder_config=encoder,
        head=first.head,
        pooling=first.pooling,
        max_length=first.max_length,
        peft=first.peft,
        **common,
        **fields,
    )


def _dropouts(config: MultiTaskConfig) -> dict[str, Any]:
    encoder: Any = config.encoder_config
    return {name: getattr(encoder, name) for name in dropout_fields(encoder)}
