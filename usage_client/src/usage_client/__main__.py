import sys

from usage_client.cli import main

sys.exit(main())
