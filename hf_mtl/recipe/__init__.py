"""YAML -> one typed, validated object."""

from hf_mtl.recipe.json_schema import json_schema
from hf_mtl.recipe.load import load_recipe, read_recipe
from hf_mtl.recipe.schema import Balancing, ModelSection, Recipe
from hf_mtl.recipe.signatures import Options, model_from_signature

__all__ = [
    "Balancing",
    "ModelSection",
    "Options",
    "Recipe",
    "json_schema",
    "load_recipe",
    "model_from_signature",
    "read_recipe",
]
