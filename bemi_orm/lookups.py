"""Look-ups on keys of the context that the GIN index serves.

Django compiles `context__user_id=1` to `context -> 'user_id' = '1'`, which no index of `changes` serves. Here
`context @> '{"user_id": 1}'` is added, which jsonb_path_ops serves (PostgreSQL manual, "jsonb Indexing").
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.fields.json import DataContains, KeyTransform, KeyTransformExact, KeyTransformIn
from django.db.models.sql.compiler import SQLCompiler

_Sql = tuple[str, tuple[Any, ...]]


class ContextKeyTransform(KeyTransform):
    """A key of the context; `exact` and `in` are its own, all other look-ups are Django's."""


class ContextKeyTransformFactory:
    """What a JSONField gives for a key's name."""

    def __init__(self, key_name: str) -> None:
        self.key_name = key_name

    def __call__(self, *args: Any, **kwargs: Any) -> ContextKeyTransform:
        """Give the transform of this key."""
        return ContextKeyTransform(self.key_name, *args, **kwargs)


@ContextKeyTransform.register_lookup
class ContextKeyExact(KeyTransformExact):
    """`context__user_id=1`."""

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> _Sql:
        """Give Django's condition with the containment of the same value."""
        original = super().as_sql(compiler, connection)
        return _with_containment(self.lhs, [self.rhs], original, compiler, connection)


@ContextKeyTransform.register_lookup
class ContextKeyIn(KeyTransformIn):
    """`context__user_id__in=[1, 2]`."""

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> _Sql:
        """Give Django's condition with the containment of one of the values."""
        original = super().as_sql(compiler, connection)
        if not self.rhs_is_direct_value():
            return original[0], tuple(original[1])
        values = [value for value in self.rhs if value is not None]
        return _with_containment(self.lhs, values, original, compiler, connection)


@ContextKeyTransform.register_lookup
class ContextKeyContains(DataContains):
    """`context__request__contains={"method": "POST"}`."""

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> _Sql:
        """Give Django's condition with the containment in the whole context.

        A scalar is left alone: `[1] @> 1`, but not `{"a": [1]} @> {"a": 1}` (manual, "jsonb Containment").
        """
        original = super().as_postgresql(compiler, connection)
        if not isinstance(self.rhs, dict | list):
            return original[0], tuple(original[1])
        return _with_containment(self.lhs, [self.rhs], original, compiler, connection)


def _with_containment(
    transform: KeyTransform,
    values: list[Any],
    original: tuple[str, Any],
    compiler: SQLCompiler,
    connection: BaseDatabaseWrapper,
) -> _Sql:
    """Give `original AND (containment OR NULL)`, where containment follows from the original.

    `OR NULL` keeps the original's three values: without a key it is NULL, and so is its negation, by which
    Django's exclude() leaves such rows out. The planner drops the NULL where only true counts, and so the
    index is reached.
    """
    sql, params = original
    path, root = _path(transform)
    if any(map(_is_expression, values)) or any(map(is_place, path)):
        return sql, tuple(params)
    root_sql, root_params = compiler.compile(root)
    conditions, all_params = [], list(params)
    for value in values:
        conditions.append(f"{root_sql} @> %s")
        all_params += [*root_params, _adapt(root, _nest(path, value), connection)]
    return f"({sql} AND ({' OR '.join(conditions)} OR NULL))", tuple(all_params)


def _path(transform: KeyTransform) -> tuple[list[str], Expression]:
    keys: list[str] = []
    expression: Any = transform
    while isinstance(expression, KeyTransform):
        keys.insert(0, expression.key_name)
        expression = expression.lhs
    return keys, expression


def is_place(key: str) -> bool:
    """Whether PostgreSQL or Django may read a part of a path as a place in a list.

    Python reads each number that PostgreSQL takes for one, and a few more.
    """
    try:
        int(key)
    except ValueError:
        return False
    return True


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression") or hasattr(value, "as_sql")


def _nest(path: list[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _adapt(root: Expression, value: Any, connection: BaseDatabaseWrapper) -> Any:
    return root.output_field.get_db_prep_value(value, connection)
