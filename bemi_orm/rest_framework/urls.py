"""URLs to mount: `path("audit/", include("bemi_orm.rest_framework.urls"))`."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from bemi_orm.rest_framework.views import ChangeViewSet

router = SimpleRouter()
router.register("changes", ChangeViewSet, basename="bemi-change")

urlpatterns = router.urls
