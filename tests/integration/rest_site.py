"""A site that mounts the REST API, and viewsets of its own with history."""

from __future__ import annotations

from django.urls import include, path
from django_filters.filters import DateFromToRangeFilter, NumberFilter
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from drf_spectacular.views import SpectacularAPIView
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.permissions import BasePermission, DjangoModelPermissions, IsAdminUser, IsAuthenticated
from rest_framework.routers import DefaultRouter, SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

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


class TodoFilterSet(FilterSet):
    dated = DateFromToRangeFilter(field_name="updated_at")

    class Meta:
        model = Todo
        fields = {"price": ["exact", "lt"]}


class ReadOnlyViewSet(BemiHistoryViewMixin, ReadOnlyModelViewSet):
    serializer_class = TodoSerializer
    permission_classes = [IsAuthenticated]
    queryset = Todo.objects.all()
    filter_backends = [SearchFilter, OrderingFilter, DjangoFilterBackend]
    search_fields = ["task"]
    filterset_class = TodoFilterSet


class NoPutViewSet(TodoViewSet):
    """Writes by PATCH alone."""

    http_method_names = ["get", "patch", "post", "head", "options"]

    def get_queryset(self):
        return Todo.objects.all()

    def get_permissions(self):
        return [IsAdminUser()] if self.action == "partial_update" else [IsAuthenticated()]


class BriefSerializer(TodoSerializer):
    class Meta(TodoSerializer.Meta):
        fields = ("id", "task")
        read_only_fields = ("task",)


class ByActionViewSet(BemiHistoryViewMixin, ModelViewSet):
    """Decides everything by the action: who may do it, on which rows, and what is shown."""

    queryset = Todo.objects.all()

    def get_permissions(self):
        writes = ("create", "update", "partial_update", "destroy")
        return [IsAdminUser()] if self.action in writes else [IsAuthenticated()]

    def get_serializer_class(self):
        return BriefSerializer if self.action in ("list", "retrieve") else TodoSerializer

    def get_queryset(self):
        if self.action in ("list", "retrieve"):
            return Todo.objects.all()
        return Todo.objects.filter(list__name=self.request.user.username)


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
router.register("readonly", ReadOnlyViewSet, basename="readonly")
router.register("patched", NoPutViewSet, basename="patched")
router.register("by-action", ByActionViewSet, basename="by-action")
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
