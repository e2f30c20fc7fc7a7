"""A site that mounts the REST API, and viewsets of its own with history."""

from __future__ import annotations

from django.urls import include, path
from django_filters.filters import NumberFilter
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import BasePermission, DjangoModelPermissions, IsAuthenticated
from rest_framework.routers import DefaultRouter, SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from bemi_orm.rest_framework import BemiHistoryViewMixin, ChangeFilterSet, ChangeViewSet
from tests.todos.models import SpecialDocument, Tag, Todo


class TodoSerializer(ModelSerializer):
    class Meta:
        model = Todo
        fields = ("id", "list", "task", "is_completed", "price")
        read_only_fields = ("price",)


class NotSecret(BasePermission):
    def has_object_permission(self, request, view, obj):
        return not obj.task.startswith("secret")


class TodoViewSet(BemiHistoryViewMixin, ModelViewSet):
    """Shows a user the todos of the list that has their name, or a tag of theirs."""

    serializer_class = TodoSerializer
    permission_classes = [IsAuthenticated, NotSecret]
    queryset = Todo.objects.all()

    def get_queryset(self):
        return Todo.objects.filter(list__name=self.request.user.username)


class TaggedViewSet(TodoViewSet):
    def get_queryset(self):
        return Todo.objects.filter(tags__code=self.request.user.username)


class GuardedViewSet(TodoViewSet):
    permission_classes = [DjangoModelPermissions]

    def get_queryset(self):
        return Todo.objects.all()


class TagSerializer(ModelSerializer):
    class Meta:
        model = Tag
        fields = ("code",)


class TagViewSet(BemiHistoryViewMixin, ModelViewSet):
    serializer_class = TagSerializer
    permission_classes = [IsAuthenticated]
    queryset = Tag.objects.all()


class SpecialSerializer(ModelSerializer):
    class Meta:
        model = SpecialDocument
        fields = ("id", "title", "level")


class SpecialViewSet(BemiHistoryViewMixin, ModelViewSet):
    serializer_class = SpecialSerializer
    permission_classes = [IsAuthenticated]
    queryset = SpecialDocument.objects.all()


router = SimpleRouter()
router.register("todos", TodoViewSet)
router.register("tagged", TaggedViewSet, basename="tagged")
router.register("guarded", GuardedViewSet, basename="guarded")
router.register("tags", TagViewSet)
router.register("special", SpecialViewSet)


class DeletesFilterSet(ChangeFilterSet):
    row = NumberFilter(field_name="primary_key_int", help_text="Key of the row.")


class DeletesViewSet(ChangeViewSet):
    """Narrows what is seen by code of the project's own, and has a filter more."""

    filterset_class = DeletesFilterSet

    def get_queryset(self):
        return super().get_queryset().deleted()


routed = DefaultRouter()
routed.register("deletes", DeletesViewSet, basename="deletes")

urlpatterns = [
    path("audit/", include("bemi_orm.rest_framework.urls")),
    path("schema/", SpectacularAPIView.as_view()),
    path("routed/", include(routed.urls)),
    path("", include(router.urls)),
]
