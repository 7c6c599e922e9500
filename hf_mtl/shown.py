"""Words of users, of their files and of other programs as they are shown: no secrets, and one line stays one.

Messages, tables, progress lines, logs and figures pass through here. Whoever shows a name or a value needs to do
nothing: errors, loggers and tables do it.
"""

import logging
import os
import re
from typing import Any

HIDDEN = "***"

_SECRET_KEYS = r"(?:hub_|hf_|access_|auth_|api_)token|push_to_hub_token|password|passwd|secret|api_?key|secret_?key"
_SECRET_KEY = re.compile(rf"(?:.*[._])?(?:{_SECRET_KEYS})", re.I)
# A colon before the host, unless it belongs to a port (host:8080/) or to a chain of file systems (zip://a::https://).
# Secret keys of S3 may hold slashes.
_PASSWORD_IN_URL = re.compile(r"(?<=://)(?![^\s/@:]*:\d+/)[^\s/@:'\"]*:(?!:)[^\s@'\"]*@(?:[^\s/@'\"]*@)?")
_TOKEN_IN_URL = re.compile(r"(?<=http://|ttps://)[^\s/@:'\"]+@")  # behind one width only, so `h` is left out
_SECRET_WORDS = "token(?!iz)|secret|passw|pwd|signature|credential|api[-_]?key|access[-_]?key"
_IN_QUERY = re.compile(
    rf"([?&;](?:[^=&\s]*(?:{_SECRET_WORDS})[^=&\s]*|sig|key|auth|authorization)=)[^&\s'\"#<>]+", re.I
)
# Not `training.hub_token: found ...`, which is a message of ours and has been made without the value.
_BY_KEY = re.compile(
    rf"((?:\b|_)(?:{_SECRET_KEYS})[\"']?\s*=\s*|(?<![.\w])(?:{_SECRET_KEYS})[\"']?:\s*(?!unknown key))"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)",
    re.I,
)
_HUB_TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}")
_FOUND = re.compile(r"\b(found|is|gives|value)\b.*", re.S)
_ENVIRONMENT = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_SHORTEST = 8  # a shorter value of a variable is a placeholder, and would be found in every second word

# What moves a terminal's cursor, colours it, breaks a line, turns the direction of writing, or is not seen at all.
# Joiners (200c, 200d) stay: writing systems and emoji need them.
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f"
)
_ANY_UNSEEN = re.compile(f"[{_UNSEEN}]")
_UNSEEN_IN_LINES = re.compile(f"(?!\n)[{_UNSEEN}]")


def hide_secrets(text: str) -> str:
    """Put stars in place of tokens, and of passwords and signatures in URLs.

    Args:
        text: Any text, also one that another library made.
    """
    text = _PASSWORD_IN_URL.sub(f"{HIDDEN}@", text)
    text = _TOKEN_IN_URL.sub(f"{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    text = _BY_KEY.sub(rf"\1{HIDDEN}", text)
    text = _HUB_TOKEN.sub(HIDDEN, text)
    for name in _ENVIRONMENT:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    return text


def holds_secret(text: str) -> bool:
    """Tell whether a text, such as a URL, has a password, a token or a signature in it."""
    return hide_secrets(text) != text


def is_secret_key(key: str) -> bool:
    """Tell whether the value of a dotted key must not be shown."""
    return _SECRET_KEY.fullmatch(key) is not None


def hide_value(text: str) -> str:
    """Put stars in place of what a message about a secret key says was found.

    Args:
        text: The message, such as ``found 'abc'``.
    """
    return _FOUND.sub(rf"\1 {HIDDEN}", hide_secrets(text))


def visible(text: str, lines: bool = False) -> str:
    r"""Write what a terminal would obey, or nobody could see, as an escape such as ``\x1b``.

    Args:
        text: The text.
        lines: Whether its line breaks are meant; a name's are not.
    """
    pattern = _UNSEEN_IN_LINES if lines else _ANY_UNSEEN
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shown(text: str, lines: bool = False) -> str:
    """Make a text fit to be shown: without secrets, and without what a terminal would obey.

    Args:
        text: The text.
        lines: Whether its line breaks are meant.
    """
    return visible(hide_secrets(text), lines)


class _Shown(logging.Filter):
    """Makes every record of a logger fit to be shown."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's message in place; no record is dropped."""
        record.msg, record.args = shown(record.getMessage(), lines=True), ()
        return True


def get_logger(name: str) -> Any:
    """Return a module's logger, whose messages are fit to be shown.

    Args:
        name: The module's ``__name__``.

    Returns:
        A `logging.Logger`; with ``warning_once`` wherever transformers is imported.
    """
    logger = logging.getLogger(name)
    if not any(isinstance(item, _Shown) for item in logger.filters):
        logger.addFilter(_Shown())
    return logger
