"""The numbers and rights as data: one TOML file a policy and version. This file only makes the folder importable as a package."""
