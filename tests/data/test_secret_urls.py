import pytest

from hf_mtl.data.secret_urls import secret_mistakes
from hf_mtl.data.sources import load_source
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource


@pytest.mark.parametrize(
    "files",
    [
        "https://anna:geheim@host/a.csv",
        ["a.csv", "https://host/a.csv?token=geheim"],
        {"train": "a.csv", "test": ["s3://KEY:geheim@bucket/b.csv"]},
    ],
)
def test_a_url_with_a_password_is_refused_before_anything_is_asked(files):
    with pytest.raises(DataError, match=r"dataset\.data_files: 'https?://.*\*\*\*|s3://\*\*\*@bucket") as caught:
        load_source(DatasetSource(path="csv", data_files=files))
    assert "geheim" not in str(caught.value) + repr(caught.value.mistakes)
    assert "~/.netrc" in str(caught.value)


def test_addresses_without_secrets_pass():
    files = ["https://host:8080/a.csv?download=true", "abfss://c@account.dfs.core.windows.net/b.csv", "c@d/e.csv"]
    assert not secret_mistakes(DatasetSource(path="csv", data_files=files, revision="main"), "dataset")


def test_a_source_shows_no_password():
    source = DatasetSource(path="csv", data_files="https://anna:geheim@host/a.csv")
    assert "geheim" not in repr(source) + str(source)
    assert source.data_files == "https://anna:geheim@host/a.csv"
