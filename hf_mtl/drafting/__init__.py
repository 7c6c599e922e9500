"""Look at data, and draft a recipe for them: every guess is said, and why it was made."""

from hf_mtl.drafting.draft import Draft, draft_recipe, quickstart_recipe

__all__ = ["Draft", "draft_recipe", "quickstart_recipe"]
