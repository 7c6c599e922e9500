"""Splits of a `DatasetSource`: a Hub id, a local folder or file, `data_files`, or a generator."""

import re
from collections.abc import Callable
from dataclasses import replace

from datasets import Dataset
from datasets.exceptions import DatasetNotFoundError, DatasetsError

from hf_mtl.caches import refuse_cache
from hf_mtl.data.cache import filling_datasets
from hf_mtl.data.csv_source import Loaded, found_in_csv, refuse_csv_options
from hf_mtl.data.hub_source import explain_hub, load_hub
from hf_mtl.data.local_files import is_local, load_data_files, load_local
from hf_mtl.data.missing_values import without_missing
from hf_mtl.data.readers import READERS, refuse_reader
from hf_mtl.data.secret_urls import secret_mistakes
from hf_mtl.data.split_names import name_splits, unused_notes
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import DatasetSource


def _support_desk(name: str) -> dict[str, Dataset]:
    from hf_mtl.data.support_desk import generate

    return generate(name)


# Seeded synthetic data by path, so that a recipe can use them like any dataset; `name` says which of them.
GENERATORS: dict[str, Callable[[str], dict[str, Dataset]]] = {"hf_mtl/support_desk": _support_desk}


def register_dataset(path: str, make: Callable[[str], dict[str, Dataset]]) -> None:
    """Make data known that a function makes, by the path under which a recipe names them.

    Args:
        path: The path, such as ``my_package/tickets``.
        make: Takes the recipe's ``name`` of the dataset and returns its splits.

    Raises:
        ValueError: If another function has the path, or it is that of a reader.
    """
    if path in READERS or GENERATORS.setdefault(path, make) is not make:
        raise ValueError(f"a dataset '{path}' is registered already")


def load_source(source: DatasetSource, key: str = "dataset") -> Loaded:
    """Load the splits of one source, under the names train, validation and test.

    Args:
        source: Where the rows come from.
        key: Recipe key of the source, for mistakes.

    Raises:
        DataError: If the source cannot be found or read, or has none of the splits.
    """
    try:
        with filling_datasets():
            loaded = _load(source, key)
    except DataError:
        raise
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        refuse_cache(error)
        raise DataError(found_in_csv(error, key, key) or [_explain(source, error, key)]) from error
    if source.missing:
        loaded = without_missing(loaded, source.missing, f"{key}.missing")
    names = name_splits(source, loaded.splits, key)
    return Loaded(
        {ours: loaded.splits[theirs] for ours, theirs in names.items()},
        loaded.spelled,
        {ours: loaded.files[theirs] for ours, theirs in names.items() if theirs in loaded.files},
        (*loaded.notes, *unused_notes(source, loaded.splits, names)),
    )


def _load(source: DatasetSource, key: str) -> Loaded:
    if secrets := secret_mistakes(source, key):
        raise DataError(secrets)
    _refuse_idle(source, key)
    if source.path in READERS:
        return load_data_files(source, key)
    whole = source.path in GENERATORS or is_local(source.path)
    if whole and source.data_files is not None:
        remedy = f"Use it with a Hub id, or with path: {', '.join(READERS)}."
        raise DataError(Mistake(f"{key}.data_files", f"'{source.path}' takes no data_files", remedy))
    if source.path in GENERATORS:
        refuse_csv_options(source, key)
        return Loaded(_generate(source, key))
    if is_local(source.path):
        return load_local(source, key)
    refuse_reader(source, key)
    return load_hub(source, key)


def _refuse_idle(source: DatasetSource, key: str) -> None:
    """Refuse what only a dataset of the Hub has, of files and generators."""
    files = source.path in READERS
    mistakes = []
    if source.revision is not None and (files or source.path in GENERATORS or is_local(source.path)):
        problem = f"'{source.path}' is not of the Hub and has no revisions"
        mistakes.append(Mistake(f"{key}.revision", problem, "Leave it out."))
    if source.name is not None and files:
        mistakes.append(Mistake(f"{key}.name", f"'{source.path}' has no configurations", "Leave it out."))
    if mistakes:
        raise DataError(mistakes)


def _generate(source: DatasetSource, key: str) -> dict[str, Dataset]:
    if source.name is None:
        remedy = f"Give name: which data of {source.path} to make."
        raise DataError(Mistake(f"{key}.name", f"'{source.path}' makes several datasets", remedy))
    try:
        return dict(GENERATORS[source.path](source.name))
    except DataError as error:
        raise DataError(replace(mistake, key=f"{key}.name") for mistake in error.mistakes) from error


def _explain(source: DatasetSource, error: Exception, key: str) -> Mistake:
    """Turn a failure of datasets into what the user can do about it."""
    text = str(error)
    label = f"'{source.path}'" + (f" (configuration '{source.name}')" if source.name else "")
    # What was cached, and what the Hub itself says of a file that is not there.
    absent = any(sign in text for sign in ("Couldn't find cache for", "Unable to find 'hf://"))
    if absent and source.data_files is not None:
        remedy = "The Hub has no such files, or it cannot be reached: then data_files of a Hub id cannot be used."
        return Mistake(f"{key}.data_files", f"no such data files of '{source.path}' could be found", remedy)
    config = re.search(
        r"Available: (\[.*\])|available configs[^\[]*(\[.*\])|configs in the cache: (\[.*\])", text, re.S
    )
    if config:
        names = re.findall(r"'([^']*)'", next(group for group in config.groups() if group))
        found = f"unknown configuration '{source.name}' of" if source.name else "no configuration given for"
        remedy = known(names, source.name or "", "Known here" if "cache" in text else "Known")
        return Mistake(f"{key}.name", f"{found} '{source.path}'", remedy)
    if "scripts are no longer supported" in text:
        remedy = "Use a revision of it in parquet (often refs/convert/parquet), or local files."
        return Mistake(key, f"{label} is a script, which datasets no longer runs", remedy)
    if not is_local(source.path) and isinstance(error, (ConnectionError, DatasetNotFoundError)):
        return explain_hub(source, label, error, key)
    cause = error.__cause__ or error
    return Mistake(key, f"cannot load {label}: {_first_line(cause).rstrip('.')}")


def _first_line(error: BaseException) -> str:
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]
