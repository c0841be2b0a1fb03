"""The benefits' routes, below /api/v1/."""

from rest_framework.routers import SimpleRouter

from benefits import views

router = SimpleRouter(use_regex_path=False)
router.register("benefits", views.BenefitViewSet, basename="benefit")
urlpatterns = router.urls
