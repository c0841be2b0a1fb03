"""The application as granian serves it: the one of config.wsgi, in threads."""

from django.conf import settings

from common.server import Threaded
from config.wsgi import application as wsgi_application

application = Threaded(
    wsgi_application,
    threads=settings.WEB_THREADS,
    body_limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
)
