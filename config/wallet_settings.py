"""The wallet as a service of its own: its own database, routes and process."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as ALL_APPS
from config.settings import database, env

ELSEWHERE = (
    "quizzes",
    "benefits",
    "clubs",
    "usage",
    "incentives",
    "procrastinate.contrib.django",
    "wallet",
)
INSTALLED_APPS = [*(app for app in ALL_APPS if app not in ELSEWHERE), "wallet"]
WALLET_BACKEND = "wallet.backends.local"
IS_WALLET_HERE = True

ROOT_URLCONF = "config.wallet_urls"
STAND_INS = {}
FIXTURE_DIRS = []  # its accounts come by posting
PORT = env.int("PORT", default=8001)
DATABASES = {"default": database("WALLET_DATABASE_URL", "accrue_wallet")}
