"""A secret key for development: made once per data directory, never for production."""

import fcntl
import os
import secrets
from pathlib import Path


def development_secret_key(directory: Path) -> str:
    path = directory / "secret_key"
    if path.exists() and (key := path.read_text()):
        return key  # also where nothing may be written
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with open(descriptor, "r+") as file:
        # Processes that start at the same moment must end up with the same key.
        fcntl.flock(file, fcntl.LOCK_EX)
        key = file.read()
        if not key:
            key = secrets.token_urlsafe(50)
            file.write(key)
    return key
