"""The routes of the whole product; each app brings its own."""

from django.conf import settings
from django.urls import include, path

api = [
    path("", include("quizzes.urls")),
    path("", include("benefits.urls")),
    path("", include("clubs.urls")),
    path("usage/", include("usage.urls")),
    path("incentives/", include("incentives.urls")),
    *([path("wallet/", include("wallet.urls"))] if settings.IS_WALLET_HERE else []),
]

urlpatterns = [
    path("api/v1/", include(api)),
    path("", include("common.urls")),
]
