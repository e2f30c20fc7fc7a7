"""What a type checker has to see: `mypy` reads these files, and none of them runs."""
