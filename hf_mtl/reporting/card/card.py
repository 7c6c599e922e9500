"""The card of a model: what it does, how to use it, how good it is, and how it was made."""

from collections.abc import Iterator

from huggingface_hub.utils import yaml_dump

from hf_mtl.reporting.card.adapters import adapter_words
from hf_mtl.reporting.card.facts import CardFacts
from hf_mtl.reporting.card.metadata import metadata
from hf_mtl.reporting.card.scores import data_section, scores_section, tasks_section
from hf_mtl.reporting.card.snippets import loading, usage
from hf_mtl.reporting.card.text import code, escaped, fenced, heading
from hf_mtl.reporting.card.training import making_section, training_section
from hf_mtl.shown import shown


def model_card(facts: CardFacts) -> str:
    """Write the card: YAML for the Hub, then Markdown. The same facts make the same text.

    Args:
        facts: What it is made of; what is not known is left out.
    """
    parts = [
        heading(1, facts.name.rsplit("/", maxsplit=1)[-1]),
        *_opening(facts),
        *_use(facts),
        *tasks_section(facts),
        *scores_section(facts),
        *data_section(facts),
        *training_section(facts),
        *making_section(facts),
        *_recipe(facts),
    ]
    data = yaml_dump(metadata(facts), sort_keys=False)
    text = f"---\n{data.strip()}\n---\n\n" + "\n\n".join(parts) + "\n"
    return shown(text, lines=True)


def _opening(facts: CardFacts) -> Iterator[str]:
    count = len(facts.tasks)
    what = "one task" if count == 1 else f"{count} tasks"
    yield (
        f"One encoder with a head for each of {what}, fine-tuned together with hf_mtl{_origin(facts)}: "
        f"{', '.join(map(code, facts.tasks))}."
    )
    yield from adapter_words(facts.peft)
    if facts.heads_only is not None:
        yield (
            "The files here hold the heads alone. The encoder was frozen, and is fetched from "
            f"{code(facts.heads_only)}; its weights are compared with those that the heads were trained on."
        )


def _origin(facts: CardFacts) -> str:
    """Name what training began with, with a link where it has a page; empty where it is not known."""
    name = facts.backbone
    if name is not None:
        return f" from [{escaped(name)}](https://huggingface.co/{name})" if facts.has_page else f" from {code(name)}"
    if not facts.recipe:  # a joined model, whose runs knew
        return " from the encoder of its runs"
    inline = facts.recipe.get("model", {}).get("backbone")
    if inline is None:
        return ""
    kind = f" {code(inline['model_type'])}" if "model_type" in inline else "n"
    return f" from a{kind} encoder with random weights"


def _use(facts: CardFacts) -> Iterator[str]:
    yield heading(2, "Use")
    plugins = facts.recipe.get("plugins") or []
    own = f" and import {', '.join(map(code, plugins))}, which it needs" if plugins else ""
    yield f"Install `hf_mtl{'[peft]' if facts.peft else ''}`{own}. All tasks come from one model:"
    yield fenced("python", loading(facts.name))
    for name, task in facts.tasks.items():
        yield f"{code(name)} ({task.type.replace('_', ' ')}):"
        yield fenced("python", usage(name, task))


def _recipe(facts: CardFacts) -> Iterator[str]:
    if not facts.recipe_text:
        return
    yield heading(2, "Recipe")
    command = f"hf-mtl train recipe.yaml{' --allow-code' if facts.recipe.get('plugins') else ''}"
    yield (
        f"`recipe.yaml`, beside this card, trains the model again: `{command}`. Of local files only the names are "
        "kept."
    )
    yield f"<details><summary>recipe.yaml</summary>\n\n{fenced('yaml', facts.recipe_text)}\n\n</details>"
