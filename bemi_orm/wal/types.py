"""What the catalog knows of a type that is not built in; enough to write its values as JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TypeFact:
    """One row of `pg_type`.

    kind: `typtype`: b base, c composite, d domain, e enum, m multirange, p pseudo, r range.
    base_oid: the type under a domain, else 0.
    element_oid: the element's type of a true array (`typsubscript` is `array_subscript_handler`), else 0.
    delimiter: what separates the elements in an array of this type (`typdelim`).
    """

    oid: int
    kind: str
    base_oid: int = 0
    element_oid: int = 0
    delimiter: str = ","
