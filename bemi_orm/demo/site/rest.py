"""The site's todos by Django REST framework, each with its history; and the URLs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from bemi_orm.demo.site.models import Todo
from bemi_orm.rest_framework import BemiHistoryViewMixin

if TYPE_CHECKING:
    _Serializer = ModelSerializer[Todo]
    _ViewSet = ModelViewSet[Todo]
else:
    _Serializer, _ViewSet = ModelSerializer, ModelViewSet


class TodoSerializer(_Serializer):
    """All of a todo."""

    class Meta:
        """Of which model, and what."""

        model = Todo
        fields = ("id", "list", "task", "is_completed")


class TodoViewSet(BemiHistoryViewMixin, _ViewSet):
    """All todos. Under each: history/, as_of/, revert/, restore/; under all: deleted/."""

    queryset = Todo.objects.all()
    serializer_class = TodoSerializer


router = SimpleRouter()
router.register("todos", TodoViewSet)

urlpatterns = router.urls
