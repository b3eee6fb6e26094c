"""Runs on disk: a locked, resumable directory, logs that survive a kill, atomic files, and a user's mistakes."""

from .atomic import atomic_path
from .errors import InputError
from .run_directory import RunDirectory, write_json, write_text

__all__ = ["InputError", "RunDirectory", "atomic_path", "write_json", "write_text"]
