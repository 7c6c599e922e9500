"""YAML -> one typed, validated object."""
