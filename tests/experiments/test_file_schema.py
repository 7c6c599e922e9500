"""JSON Schemas of the files of experiments."""

from pydantic import BaseModel, Field

from hf_mtl.experiments.file_schema import file_schema


class Keys(BaseModel):
    """Some keys."""

    base: str = Field(description="The base.")


def test_a_file_has_its_keys_and_may_extend_others() -> None:
    found = file_schema(Keys, "study")
    assert found["title"] == "hf_mtl study"
    assert set(found["properties"]) == {"base", "extends"}
    assert (found["required"], found["$defs"]) == (["base"], {})
