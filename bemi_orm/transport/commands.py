"""Management commands: what they write carries the command's name and the user of the operating system.

Django has no signal for commands, and is not patched here: the words that the process was started with say
which command it runs. A command called from code (`call_command`) has the context of that code.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from bemi_orm.conf import Settings, settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.transport.scope import context

PROGRAMS: Final = frozenset({"manage.py", "django-admin"})


def start_command_scope(argv: Sequence[str]) -> None:
    """Start the scope of the process's command, which lasts as long as its main thread.

    Nothing happens in other processes, such as a web server's, and for `BEMI_COMMANDS_WITHOUT_CONTEXT`.

    argv: `sys.argv`.
    """
    name = _command_name(argv)
    if name is not None and name not in _commands_without_context():
        context(command=name, os_user=_os_user())


def _commands_without_context() -> Sequence[str]:
    try:
        return settings.COMMANDS_WITHOUT_CONTEXT
    except ConfigurationError:  # `manage.py check` reports it, and must be able to start
        return Settings.COMMANDS_WITHOUT_CONTEXT


def _command_name(argv: Sequence[str]) -> str | None:
    """Give the word after `manage.py`, `django-admin` or `python -m django`; arguments may be secrets."""
    if len(argv) < 2 or argv[1].startswith("-"):
        return None
    program = PurePath(argv[0])
    is_django = program.name in PROGRAMS or program.parts[-2:] == ("django", "__main__.py")
    return argv[1] if is_django else None


def _os_user() -> str:
    """The user whose rights the process has, from the system and not from variables that anyone can set."""
    user_id = os.geteuid()
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:  # usual in containers
        return str(user_id)
