"""The quizzes' routes, below /api/v1/."""

from rest_framework.routers import SimpleRouter

from quizzes import views

router = SimpleRouter(use_regex_path=False)
router.register("quizzes", views.QuizViewSet, basename="quiz")
router.register("attempts", views.AttemptViewSet, basename="attempt")
router.register("progress", views.ProgressViewSet, basename="progress")
urlpatterns = router.urls
