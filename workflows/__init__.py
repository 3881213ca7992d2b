"""The procedures as data: one TOML file a workflow and version. This file only makes the folder importable as a package."""
