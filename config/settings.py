"""Every setting, read from the environment; without any, this is a development set-up."""

from pathlib import Path

import environ

from config.secret_key import development_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# Where and how it runs. `manage.py check --deploy` and the server itself refuse a production
# set-up (DEBUG off) with something missing: see common/checks.py.
DEBUG = env.bool("DEBUG", default=True)
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / ".data"))).absolute()
HOST = env("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
WEB_WORKERS = env.int("WEB_WORKERS", default=2)  # processes
WEB_THREADS = env.int("WEB_THREADS", default=8)  # in each; every one keeps a database connection
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SECRET_KEY = env("SECRET_KEY", default="") or (development_secret_key(DATA_DIR) if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
GATEWAY_SECRET = env("GATEWAY_SECRET", default="")

# Who answers
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
RSGI_APPLICATION = "config.rsgi:application"
WALLET_BACKEND = env("WALLET_BACKEND", default="wallet.backends.local")
WALLET_URL = env("WALLET_URL", default="")
WALLET_API_KEY = env("WALLET_API_KEY", default="")
WALLET_ADJUSTMENT_LIMIT = env.int("WALLET_ADJUSTMENT_LIMIT", default=10_000)
IS_WALLET_HERE = WALLET_BACKEND == "wallet.backends.local"
ECOMMERCE_URL = env("ECOMMERCE_URL", default="")
ECOMMERCE_API_KEY = env("ECOMMERCE_API_KEY", default="")
ECOMMERCE_API_SECRET = env("ECOMMERCE_API_SECRET", default="")
ECOMMERCE_TIMEOUT = env.float("ECOMMERCE_TIMEOUT", default=10.0)  # seconds, for all of a call
BILLING_TIME_ZONE = env("BILLING_TIME_ZONE", default="UTC")
# What `manage.py run` starts in place of other people's services that nobody named.
STAND_INS = {} if ECOMMERCE_URL or not DEBUG else {"shop": "clubs.fake_shop.stand_in"}
# Only where a partner's receiver is tried out on the same machine.
WEBHOOKS_TO_LOOPBACK = env.bool("WEBHOOKS_TO_LOOPBACK", default=False)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "procrastinate.contrib.django",
    "common",
    *(["wallet"] if IS_WALLET_HERE else []),
    "quizzes",
    "benefits",
    "clubs",
    "usage",
    "incentives",
]
PROCRASTINATE_IMPORT_PATHS = [] if IS_WALLET_HERE else ["wallet.backends.http"]
WORKER_HEARTBEAT = env.int("WORKER_HEARTBEAT", default=10)  # seconds, up to 30
WORKER_THREADS = env.int("WORKER_THREADS", default=4)  # in each worker
# What waits for partners or for a wallet elsewhere has a queue of its own, with so many threads
# besides, and keeps nothing else waiting. Once as many receivers as there are threads do not
# answer, others wait for them: half a minute at most, then these are left alone for a while.
QUEUES_APART = {"webhooks": env.int("WEBHOOK_THREADS", default=4)}
if not IS_WALLET_HERE:
    QUEUES_APART["wallet"] = env.int("WALLET_THREADS", default=2)
PROCRASTINATE_WORKER_DEFAULTS = {
    "update_heartbeat_interval": WORKER_HEARTBEAT,
    "stalled_worker_timeout": 3 * WORKER_HEARTBEAT,
    "concurrency": WORKER_THREADS,
}

MIDDLEWARE = [
    "common.middleware.RequestContext",
    "common.middleware.ApiBorder",
    # From here on, pages only.
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


# Data
def database(url_name: str, embedded_name: str) -> dict[str, object]:
    """The database of an environment variable, or one of this name in the embedded server."""
    if env(url_name, default=""):
        found = env.db_url(url_name, engine="django.db.backends.postgresql")
    else:
        found = {
            "ENGINE": "config.database",
            "NAME": embedded_name,
            "USER": "postgres",
            "EMBEDDED_DIR": DATA_DIR,
        }
    options = {
        "connect_timeout": 5,
        "application_name": "accrue",
        # Statements are bound and, from their second use, planned by the server,
        # which matters for a statement as long as the ledger's.
        "server_side_binding": True,
        "prepare_threshold": 2,
        **found.get("OPTIONS", {}),
    }
    return {**found, "CONN_MAX_AGE": 600, "OPTIONS": options}


DATABASES = {"default": database("DATABASE_URL", "accrue")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FIXTURE_DIRS = [BASE_DIR / "fixtures"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Time and language: instants are UTC inside and carry their zone on the wire.
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "config.formats"

# Staff
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=not DEBUG)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=False)  # the gateway's task
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if DEBUG else 31_536_000)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]  # the gateway's

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG

# The API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["common.identity.IsKnown"],
    "DEFAULT_PARSER_CLASSES": ["common.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["common.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "common.parsers.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "common.pagination.CursorPage",
    "DEFAULT_SCHEMA_CLASS": "common.openapi.Schema",
    "EXCEPTION_HANDLER": "common.problems.respond",
    "UNAUTHENTICATED_USER": None,
    "PAGE_SIZE": 20,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Accrue",
    "DESCRIPTION": "What makes people come back, and what they owe for it.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "LanguageEnum": "quizzes.document.LANGUAGES",
        "AttemptStatusEnum": [("in_progress", "In Progress"), ("completed", "Completed")],
        "ToldEnum": "incentives.partners.serializers.TOLD",
        "FulfilmentEnum": "incentives.partners.serializers.ANSWERS",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.openapi.add_problems",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

UNFOLD = {
    "SITE_TITLE": "Accrue",
    "SITE_HEADER": "Accrue",
    "SITE_SYMBOL": "savings",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "COLORS": {
        "primary": {
            "50": "240 253 250",
            "100": "204 251 241",
            "200": "153 246 228",
            "300": "94 234 212",
            "400": "45 212 191",
            "500": "20 184 166",
            "600": "13 148 136",
            "700": "15 118 110",
            "800": "17 94 89",
            "900": "19 78 74",
            "950": "4 47 46",
        }
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "common.logs.RequestIdFilter"}},
    "formatters": {"json": {"()": "common.logs.JsonFormatter"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Every response is logged once, by common.middleware, with its request id.
        "django.request": {"level": "CRITICAL"},
        "django.server": {"level": "ERROR"},
        "procrastinate": {"level": env("LOG_LEVEL", default="WARNING")},
    },
}
