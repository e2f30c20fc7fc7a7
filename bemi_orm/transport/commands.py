"""Management commands: what they write carries the command's name and the user of the operating system.

Django has no signal for commands, so `BaseCommand.execute` is wrapped: both `manage.py NAME` and
`call_command()` go by it. Where a request, a task or another command is running already, that is what
explains the writes, and nothing is added.
"""

from __future__ import annotations

import functools
import os
import pwd
from collections.abc import Sequence
from typing import Any, Final

from django.core.management import BaseCommand

from bemi_orm.conf import Settings, settings
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.transport.scope import context, is_explained_by

COMMAND_KEY: Final = "command"

_MARK: Final = "_bemi_original"


def install() -> None:
    """Give commands their scopes from now on; calling it again changes nothing."""
    original = BaseCommand.execute
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def execute(command: BaseCommand, /, *args: Any, **options: Any) -> Any:
        name = command_name(command)
        if is_explained_by(COMMAND_KEY, "task_name") or name in _commands_without_context():
            return original(command, *args, **options)
        with context(command=name, os_user=_os_user()):
            return original(command, *args, **options)

    setattr(execute, _MARK, original)
    BaseCommand.execute = execute  # type: ignore[method-assign, assignment]


def command_name(command: BaseCommand) -> str:
    """Give the name by which a command is called: that of its module, wherever it was found.

    A command that is not such a module's, but an object of the project's, is named by its class.
    """
    kind = type(command)
    package, _, name = kind.__module__.rpartition(".")
    return name if package.endswith("management.commands") else f"{kind.__module__}.{kind.__qualname__}"


def _commands_without_context() -> Sequence[str]:
    try:
        return settings.COMMANDS_WITHOUT_CONTEXT
    except ConfigurationError:  # `manage.py check` reports it, and must be able to start
        return Settings.COMMANDS_WITHOUT_CONTEXT


def _os_user() -> str:
    """The user whose rights the process has, from the system and not from variables that anyone can set."""
    user_id = os.geteuid()
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:  # usual in containers
        return str(user_id)
