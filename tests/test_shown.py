import logging

import pytest

from hf_mtl.errors import DivergedError, Mistake, UserError
from hf_mtl.shown import get_logger, hide_secrets, holds_secret, is_secret_key, visible

TOKEN = "hf_" + "Ab1" * 12


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("https://anna:geheim@host/data.csv", "https://***@host/data.csv"),
        ("https://anna:ge@heim@host/data.csv", "https://***@host/data.csv"),
        ("https://ghp_token@host/data.csv", "https://***@host/data.csv"),
        ("s3://AKIA12:ab/cd+ef@bucket/data.csv", "s3://***@bucket/data.csv"),
        ("zip://a.csv::https://anna:geheim@host/b.zip", "zip://a.csv::https://***@host/b.zip"),
        ("https://host/x.csv?token=abc&rows=5", "https://host/x.csv?token=***&rows=5"),
        ("https://b.s3/x?X-Amz-Credential=AK%2F1&X-Amz-Signature=0f", "https://b.s3/x?X-Amz-Credential=***&"
         "X-Amz-Signature=***"),
        ("401, url='https://h/x?sv=2&sig=a%2Bb'", "401, url='https://h/x?sv=2&sig=***'"),
        ("training.hub_token=hf_x", "training.hub_token=***"),
        ("hub_token='hf_x', seed=1", "hub_token=***, seed=1"),
        ("{'hub_token': 'hf_x', 'seed': 1}", "{'hub_token': ***, 'seed': 1}"),
        ("--hub_token hf_x is fine, HF_TOKEN=hf_x is not", "--hub_token hf_x is fine, HF_TOKEN=*** is not"),
        (f"logged in with {TOKEN}.", "logged in with ***."),
    ],
)  # fmt: skip
def test_secrets_become_stars(text, safe):
    assert hide_secrets(text) == safe
    assert hide_secrets(safe) == safe
    assert holds_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/data@home/x.csv?download=true&tokenizer=bert",
        "http://localhost:8080/path:1/x@y",
        "abfss://container@account.dfs.core.windows.net/x.csv",
        "hf://datasets/user/set@main/x.csv",
        "ssh://git@host/x.csv",
        "hf_mtl, tokens/row, pad_token: '[PAD]', token: 5, a special token = x",
        "zip://a.csv::https://host/b.zip",
        "mail anna@host.org: now",
    ],
)
def test_ordinary_words_and_addresses_stay(text):
    assert hide_secrets(text) == text


def test_the_token_of_the_environment_is_hidden_whatever_it_looks_like(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "strange-token-1")
    assert str(UserError("the Hub refused strange-token-1")) == "the Hub refused ***."
    monkeypatch.setenv("HF_TOKEN", "a")
    assert hide_secrets("a b") == "a b"


def test_keys_of_secrets_are_known():
    assert is_secret_key("training.hub_token")
    assert is_secret_key("password")
    assert not is_secret_key("model.tokenizer")
    assert not is_secret_key("tasks.secretary.text")


def test_the_value_of_a_secret_key_is_in_no_mistake():
    for problem in ("found 123", "found '[geheim', not valid YAML", "is 'a b', in the run it is 'c d'"):
        mistake = Mistake("training.hub_token", problem, "Allowed: text.")
        assert str(mistake) == f"training.hub_token: {problem.split()[0]} ***. Allowed: text."
        assert "***" in repr(mistake)


def test_what_a_terminal_obeys_is_written_out():
    assert visible("a\x1b[31mb\r\n\x9b\u202ec\udc80\ufeff") == "a\\x1b[31mb\\r\\n\\x9b\\u202ec\\udc80\\ufeff"
    assert visible("Größe 数 م‌ن 👩‍👧\u00a0") == "Größe 数 م‌ن 👩‍👧\u00a0"
    assert visible("a\nb\x07", lines=True) == "a\nb\\x07"


def test_a_mistake_is_one_line_and_mistakes_are_one_each():
    error = UserError([Mistake("tasks.a\nb", "no column 'x\x1b[2J'"), Mistake("", "y", where="r\u202e.yaml:1")])
    assert str(error) == "tasks.a\\nb: no column 'x\\x1b[2J'.\nr\\u202e.yaml:1: y."
    assert str(DivergedError("since\x1b here\nand there")) == "since\\x1b here\nand there"


def test_loggers_hide_secrets_and_escapes(caplog):
    logger = get_logger("hf_mtl.something")
    assert get_logger("hf_mtl.something").filters == logger.filters
    with caplog.at_level(logging.WARNING):
        logger.warning("%s of %s", "https://a:b@host", "x\x1b[0m\ny")
    assert caplog.messages == ["https://***@host of x\\x1b[0m\ny"]
