import re

import pytest

from hf_mtl.balancing import available
from hf_mtl.balancing.catalogue import NEEDS, method_facts
from hf_mtl.reporting.methods import method_page, methods_markdown, methods_table


def test_the_table_has_a_row_for_every_method_and_fits_a_screen() -> None:
    lines = methods_table().splitlines()
    first = [line.split(" ")[0] for line in lines]
    assert [name for name in available() if first.count(name) != 1] == []
    assert max(map(len, lines)) <= 80


def test_the_table_says_what_the_class_says() -> None:
    lines = methods_table().splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("famo "))
    assert [re.split(" {2,}", line.strip()) for line in lines[place : place + 2]] == [
        ["famo", "losses,", "a forward after each step", "joint, sum 1"],
        ["losses_after", "(not with"],
    ]
    below = " ".join(" ".join(lines[place : place + 8]).split())
    assert "arXiv:2306.03792; gamma=0.001, lr=0.025, reuse_next_batch=false" in below
    assert any(re.match(r"imtl_g +gramian +Gramian +mean$", line) for line in lines)
    assert any(line.startswith(f"{' ' * 18}OpenReview") for line in lines)


def test_the_table_is_honest_about_baselines_and_wrappers() -> None:
    rows = {row.split("`")[1]: row for row in methods_markdown().splitlines() if row.startswith("| `")}
    assert rows["sum"].endswith("| gramian | Gramian | sum |")
    assert rows["mean"].endswith("| gramian | Gramian | mean |")
    assert rows["sam_mtl"].endswith("2 x T x P memory | the base's |")
    assert rows["cost"].endswith("| experimental; T x P memory, about two epochs per trigger | the base's |")
    assert rows["ngdiff"].split(" | ")[2] == "`signs`"


def test_what_all_methods_of_a_family_take_is_said_once() -> None:
    text = methods_table()
    assert "Every weighting also takes weight_sum=null." in text
    assert "Every aggregator also takes scope=all." in text
    assert text.count("weight_sum") == 1
    assert text.count("scope=all") == 1


def test_every_need_has_its_words() -> None:
    for text in (" ".join(methods_table().split()), methods_markdown()):
        assert [need for need, words in NEEDS.items() if need not in text or words not in text] == []


def test_markdown_has_the_same_rows_whole() -> None:
    rows = [line for line in methods_markdown().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == sorted(
        available(), key=lambda name: (available()[name][0] == "a", name)
    )
    assert all(row.count(" | ") == 5 for row in rows)
    assert (
        "| `stch` | arXiv:2402.19078 | `variant=log_nadir`, `mu=1.0`, `warmup_epochs=4` | losses | "
        "nothing with one micro-batch; else a forward for the losses | joint, own |"
    ) in rows


@pytest.mark.parametrize("name", list(available()))
def test_a_page_has_the_whole_docstring_and_every_option(name: str) -> None:
    page, facts = method_page(name), method_facts(name)
    assert facts.doc in page
    assert facts.source in page
    options = page.split("Options and their defaults:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in options] == list(facts.options)


def test_a_page_says_what_to_write_in_a_recipe() -> None:
    assert method_page("pcgrad").endswith("In a recipe:\n  balancing: {aggregator: pcgrad}")
    assert method_page("fixed").endswith("In a recipe:\n  balancing: {weighting: {name: fixed, weights: ...}}")
    assert "  weights     must be given\n  weight_sum  null\n" in method_page("fixed")
    assert method_page("ngdiff").endswith("In a recipe:\n  balancing: {aggregator: {name: ngdiff, signs: ...}}")


def test_a_page_says_the_scale_and_what_the_weights_sum_to() -> None:
    for name, said in {
        "dwa": "additive, sum T",
        "famo": "joint, sum 1",
        "uw": "additive, own",
        "mgda": "mean",
    }.items():
        assert f"  scale   {said}\n" in method_page(name)
