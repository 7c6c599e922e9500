from hf_mtl import SequenceClassification
from hf_mtl.data.function_gate import function_mistakes, sources_of
from hf_mtl.tasks import DatasetSource


def test_every_source_that_names_a_function_is_refused_unless_code_is_allowed() -> None:
    plain, named = DatasetSource(path="a.csv"), DatasetSource(path="a.csv", function="mine.clean")
    tasks = {
        "one": SequenceClassification(dataset=named),
        "two": SequenceClassification(dataset=[plain, named]),
        "none": SequenceClassification(),
    }
    assert [key for key, _ in sources_of("two", tasks["two"])] == ["tasks.two.dataset.0", "tasks.two.dataset.1"]
    assert function_mistakes(tasks, allow_code=True) == []
    found = function_mistakes(tasks, allow_code=False)
    assert [mistake.key for mistake in found] == ["tasks.one.dataset.function", "tasks.two.dataset.1.function"]
    assert "--allow-code on the command line, allow_code=True in Python" in str(found[0])
