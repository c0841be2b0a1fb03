"""Operations, the schema and its pages, the admin: what every service of ours has."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from common import health, metrics, problems


def unknown(request: HttpRequest) -> HttpResponse:
    return problems.plain_response(problems.NotFound())


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    re_path(r"^health/live/?$", health.live, name="live"),
    re_path(r"^health/ready/?$", health.ready, name="ready"),
    re_path(r"^metrics/?$", metrics.metrics, name="metrics"),
    path("api/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    # Without it DEBUG would answer an unknown path with a page.
    re_path(r"^api/", unknown),
]
