"""Recipes: YAML becomes one typed, validated object."""

from hf_mtl.recipe.json_schema import json_schema
from hf_mtl.recipe.load import load_recipe, read_recipe
from hf_mtl.recipe.schema import ModelSection, Recipe

__all__ = [
    "ModelSection",
    "Recipe",
    "json_schema",
    "load_recipe",
    "read_recipe",
]
