"""The Markdown pages of the repository, and what of them can be run or looked up."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from hf_mtl.reporting.recipe_reference import HUGGING_FACE

ROOT = Path(__file__).parents[1]
PROGRAMS = ("hf-mtl", "accelerate", "torchrun", "pip", "pre-commit", "scripts/")
# Commands of hf-mtl that work on something, which the text may leave out.
WITH_TARGET = ("init", "train", "evaluate", "plan", "sweep")


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        text: What it says.
    """

    text: str

    def fenced(self, language: str) -> list[str]:
        """The blocks of a language."""
        fences = re.findall(r"^```(\w+)\n(.*?)^```$", self.text, re.M | re.S)
        return [text for kind, text in fences if kind == language]

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.M | re.S)

    def commands(self) -> list[str]:
        """The lines of the shell's blocks, without their comments, and what the text names in backquotes."""
        blocks = [re.sub(r"\s+# .*", "", line).strip() for text in self.fenced("bash") for line in text.splitlines()]
        named = [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", self.prose)]
        bare = [re.sub(r"^([A-Z_]+=\S+ )+", "", line) for line in blocks]  # without what is set for one command alone
        return [*filter(None, bare), *(word for word in named if word.startswith(PROGRAMS))]

    def links(self) -> list[str]:
        """Where its links lead, but for those out of the repository."""
        found = re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", self.prose)
        return [link for link in found if "://" not in link]

    def anchors(self) -> set[str]:
        """What a link can say behind ``#``: its headings, as GitHub spells them."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.M)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _find() -> dict[str, Page]:
    patterns = (
        "README.md",
        ".github/*.md",
        "recipes/*.md",
        "recipes/serving/*.md",
        "recipes/downstream/*.md",
        "recipes/studies/*/*.md",
        "scripts/*/*.md",
    )
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return {path.relative_to(ROOT).as_posix(): Page(path.read_text()) for path in paths}


PAGES = _find()
README = PAGES["README.md"]
REFERENCE = PAGES["recipes/README.md"]
STUDIES = {name: page for name, page in PAGES.items() if name.startswith("recipes/studies/")}


def all_commands() -> list[str]:
    """The commands of all pages, each once, in the order in which they are read."""
    return list(dict.fromkeys(command for page in PAGES.values() for command in page.commands()))


def words(command: str) -> list[str]:
    """The words behind ``hf-mtl``, however it is started; empty for another program."""
    found = shlex.split(command.partition(" > ")[0])
    if found[0] == "hf-mtl":
        return found[1:]
    return found[found.index("hf_mtl") + 1 :] if "hf_mtl" in found else []


def is_pattern(command: str) -> bool:
    """Whether words of it stand for others, such as RUN or key=value, or its target is left out."""
    first_parts = {word.partition("/")[0] for word in words(command)}
    return bool({"RUN", "FOLDER", "NAME", "key=value"} & first_parts) or lacks_target(command)


def lacks_target(command: str) -> bool:
    """Whether the text leaves out what a command works on."""
    name, *rest = words(command)
    return name in WITH_TARGET and not [word for word in rest if not word.startswith("-") and "=" not in word]


def parts_of(text: str) -> dict[str, str]:
    """The parts of a page that a program writes, by name."""
    found = re.findall(r"^<!-- ([^:\n]+): .*? -->\n(.*?)^<!-- end of \1 -->$", text, re.M | re.S)
    return {name: part.strip() for name, part in found}


def without_version(page: str) -> str:
    """The reference of recipes without what depends on the version of transformers."""
    return page.partition(HUGGING_FACE)[0]
