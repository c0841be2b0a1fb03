"""A secret key for development: made once per data directory, never for production."""

import os
import secrets
from pathlib import Path


def development_secret_key(directory: Path) -> str:
    path = directory / "secret_key"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = directory / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        # A process that starts at the same moment must end up with the same key.
        if not path.exists():
            draft.rename(path)
        draft.unlink(missing_ok=True)
    return path.read_text()
