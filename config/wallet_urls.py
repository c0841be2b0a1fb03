"""The routes of the wallet where it runs as a service of its own."""

from django.urls import include, path

urlpatterns = [
    path("api/v1/wallet/", include("wallet.urls")),
    path("", include("common.urls")),
]
