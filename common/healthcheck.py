"""For a container: exits with 0 when the service on this machine is ready."""

import http.client
import os
import sys

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/health/ready/")
        sys.exit(connection.getresponse().status != 200)
    except (OSError, http.client.HTTPException):
        sys.exit(1)
