"""The WSGI application: refuses to start with a wrong production set-up."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.management import BaseCommand
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
if not settings.DEBUG:
    BaseCommand().check(tags=["security"], include_deployment_checks=True)
