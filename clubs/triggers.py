"""Triggers that keep what is worked out of the approved tables right, whoever writes to them."""

import pgtrigger

# What a statement touched, by operation.
ROWS = {
    pgtrigger.Insert: {"new": "new_rows"},
    pgtrigger.Update: {"old": "old_rows", "new": "new_rows"},
    pgtrigger.Delete: {"old": "old_rows"},
}


def after(name: str, operation: pgtrigger.Operation, func: str) -> pgtrigger.Trigger:
    """Once for each statement: a COPY of millions of rows is one."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=operation,
        referencing=pgtrigger.Referencing(**ROWS[operation]),  # type: ignore[no-untyped-call]
        func=f"{func} RETURN NULL;",
    )


def on_change(name: str, function: str, column: str, kind: str) -> list[pgtrigger.Trigger]:
    """Call the function with the column's values in all rows that a statement touched."""
    found = []
    for operation, names in ROWS.items():
        rows = names.values()
        values = " UNION ".join(f"SELECT {column} FROM {each}" for each in rows)  # noqa: S608
        call = f"PERFORM {function}(array({values})::{kind}[]);"
        found.append(after(f"{name}_after_{operation.name.lower()}", operation, call))
    return found


def on_truncate(name: str, func: str) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Truncate,
        func=f"{func} RETURN NULL;",
    )


def pass_ids() -> pgtrigger.Trigger:
    """Who brings ids from among ours along goes on counting there, and so do we, further on."""
    call = "PERFORM clubs_pass_ids((SELECT max(id) FROM new_rows));"
    return after("pass_ids", pgtrigger.Insert, call)
