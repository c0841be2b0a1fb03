"""The wallet's routes, below /api/v1/wallet/."""

from rest_framework.routers import SimpleRouter

from wallet import views

router = SimpleRouter(use_regex_path=False)
router.register("balance", views.BalanceViewSet, basename="balance")
router.register("entries", views.EntryViewSet, basename="entry")
router.register("postings", views.PostingViewSet, basename="posting")
urlpatterns = router.urls
