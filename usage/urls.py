"""Usage routes, below /api/v1/usage."""

from django.urls import path

from usage import views

urlpatterns = [
    path("", views.UsageView.as_view(), name="usage"),
    path("receipt/", views.ReceiptView.as_view(), name="usage-receipt"),
    path("<int:record_id>/corrections/", views.CorrectionView.as_view(), name="usage-corrections"),
    path("bills/", views.BillView.as_view(), name="usage-bills"),
]
