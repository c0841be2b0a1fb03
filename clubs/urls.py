"""The clubs' routes, below /api/v1/."""

from django.urls import path

from clubs import views

urlpatterns = [
    path("club/<str:id>/subscribe/", views.Subscribe.as_view()),
    path("subscription/eligible/", views.Eligible.as_view()),
    path("subscription/<str:id>/status/", views.ChangeStatus.as_view()),
    path("subscription/<str:id>/charge/<str:request_id>/", views.ChargeSubscription.as_view()),
]
