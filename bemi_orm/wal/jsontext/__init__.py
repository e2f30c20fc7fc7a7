"""pgoutput's text form of a value to JSON text that `jsonb` reads as `to_jsonb` would have written it.

One module per type family; `encoder_for` finds the encoder of a type. An encoder takes the UTF-8 text of one
value that is not NULL, as a session with `TimeZone=UTC`, `DateStyle=ISO`, `IntervalStyle=postgres`,
`extra_float_digits=1`, `bytea_output=hex` and `lc_monetary=C` writes it, and gives UTF-8 JSON text.

Follows the PostgreSQL manual, "JSON Functions and Operators" (`to_jsonb`): numbers and booleans stay, arrays
and `json` nest, timestamps become ISO 8601, and every other type is a string of its text form.

Known differences:

* a composite type, and a type that an extension gives a cast to `json` (`hstore`, PostGIS `geometry`), is a
  string of its text, where `to_jsonb` gives an object;
* a `json` value that `jsonb` cannot hold, where `to_jsonb` fails, is a string of its raw text;
* a byte that is not UTF-8 (a `SQL_ASCII` database sends such) reads `\\xff` in the string.
"""

from bemi_orm.wal.jsontext.resolve import base_type_oid, encoder_for
from bemi_orm.wal.jsontext.strings import Encoder, encode_string

__all__ = ["Encoder", "base_type_oid", "encode_string", "encoder_for"]
