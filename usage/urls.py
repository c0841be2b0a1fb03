"""Usage routes, below /api/v1/usage."""

from django.urls import path

from usage import views

urlpatterns = [
    path("", views.UsageView.as_view(), name="usage"),
    path("bills/", views.BillView.as_view(), name="usage-bills"),
]
