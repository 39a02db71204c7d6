"""Files of settings: TOML with the names of the options, read for a run and written beside it."""

import json
import tomllib
from argparse import Action, ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from cameval.cli._near_words import list_near_words
from cameval.errors import DataError, SettingError

_NO_SETTINGS = ("--help", "--config")

_NOT_WRITTEN = ("command", "config")

_KINDS = {int: "a whole number", float: "a number", str: "text"}


def use_file(parser: ArgumentParser, path: str) -> None:
    """Make the settings of a file the defaults of a command, which its options override.

    Raises
    ------
    DataError
        If the file cannot be read.
    SettingError
        If a name is no option of the command, or a value not what the option takes.
    """
    for name, value in _read(path).items():
        action = _find_action(parser, name, path)
        try:
            parser.set_defaults(**{action.dest: _checked(action, value)})
        except SettingError as error:
            raise SettingError(f"{path}: {name} {error}") from error
        action.required = False


def settings_text(options: Namespace, command: str) -> str:
    """Return the settings of a run as a file that `use_file` reads."""
    lines = [f"# settings of `cameval {command}`, for `cameval {command} --config`"]
    for name, value in vars(options).items():
        if name in _NOT_WRITTEN or value is None or value is False:
            continue
        line = f"{name.replace('_', '-')} = {_written(value)}"
        try:
            line.encode()
        except UnicodeEncodeError:  # the bytes of a path, which may be no text
            line = f"# {name.replace('_', '-')} is no text: give it on the command line"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _read(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as stream:
            return tomllib.load(stream)
    except (OSError, ValueError) as error:  # also bytes that are no text, or no TOML
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} must be a TOML file of settings, got: {reason}") from error


def _find_action(parser: ArgumentParser, name: str, path: str) -> Action:
    """Return the option of a name, which may have underscores in place of hyphens."""
    known = {
        word.removeprefix("--"): action
        for action in parser._actions
        for word in action.option_strings
        if word.startswith("--") and word not in _NO_SETTINGS
    }
    wanted = name.replace("_", "-")
    if wanted not in known:
        raise SettingError(
            f"{path}: a setting must be an option of `{parser.prog}`, got {name!r}; "
            f"near names: {list_near_words(wanted, known)}"
        )
    return known[wanted]


def _checked(action: Action, value: Any) -> Any:
    """Return a value as the command line would give it."""
    if action.nargs == 0:  # a flag
        if not isinstance(value, bool):
            raise SettingError(f"must be true or false, got {value!r}")
        return value == action.const
    if action.nargs is None:
        return _checked_one(action, value)
    values = value if isinstance(value, list) else [value]
    if isinstance(action.nargs, int) and len(values) != action.nargs:
        raise SettingError(f"must be a list of {action.nargs}, got {value!r}")
    if not values:
        raise SettingError("must have at least one value, got none")
    return [_checked_one(action, one) for one in values]


def _checked_one(action: Action, value: Any) -> Any:
    kind = action.type if action.type in (int, float) else str
    if kind is float and type(value) is int:
        value = float(value)
    if action.dest == "classes" and type(value) is int:  # words, of which some are indices
        value = str(value)
    if type(value) is not kind:
        raise SettingError(f"must be {_KINDS[kind]}, got {value!r}")
    if action.choices is not None and value not in action.choices:
        raise SettingError(f"must be one of {', '.join(action.choices)}, got {value!r}")
    return value


def _written(value: Any) -> str:
    """Return a value in TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):  # the escapes of JSON are those of TOML
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
