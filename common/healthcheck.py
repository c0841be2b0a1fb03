"""For a container: exits with 0 when the service on this machine is ready."""

import os
import sys
import urllib.error
import urllib.request

if __name__ == "__main__":
    port = os.environ.get("PORT", "8000")
    # The name must be one that ALLOWED_HOSTS answers.
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/health/ready/", headers={"Host": host}
    )
    try:
        sys.exit(urllib.request.urlopen(request, timeout=4).status != 200)
    except (OSError, urllib.error.HTTPError):
        sys.exit(1)
