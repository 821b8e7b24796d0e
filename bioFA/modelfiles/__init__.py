"""Model files: TOML in and out, where in them an error is, their JSON Schema, and the template of a project."""
