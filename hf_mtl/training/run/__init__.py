"""From a recipe to a run: prepare, train, finish, evaluate, plan."""
