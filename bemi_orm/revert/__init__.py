"""Undo: changes taken back, as a plan first, then in one transaction.

Everything is a set of changes: one change, a request, a transaction, all that came to a row or a table after
a moment. `folding` gives the net effect on each row, `drafting` the step that undoes it, `examining` and
`constraints` compare with the live rows, `ordering` puts the steps in order, `applying` takes them.
"""
