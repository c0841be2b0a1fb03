"""The incentives' routes, below /api/v1/incentives."""

from django.urls import path

from incentives.partners.views import PartnerAchievementViewSet
from incentives.views import AchievementViewSet, EventViewSet, ProgressViewSet

urlpatterns = [
    path("events/", EventViewSet.as_view({"post": "create"})),
    # An id may hold any visible character, slashes too.
    path("events/<path:id>/", EventViewSet.as_view({"delete": "destroy"})),
    path("progress/", ProgressViewSet.as_view({"get": "list"})),
    path("achievements/", AchievementViewSet.as_view({"get": "list"})),
    path("achievements/<uuid:id>/consent/", AchievementViewSet.as_view({"post": "consent"})),
    path("partner/achievements/", PartnerAchievementViewSet.as_view({"get": "list"})),
    path(
        "partner/achievements/<uuid:id>/fulfilment/",
        PartnerAchievementViewSet.as_view({"post": "fulfilment"}),
    ),
]
