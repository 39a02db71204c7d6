"""``--group-name``: what the groups are called on the page and in the terminal."""

from argparse import Namespace, _ActionsContainer

from cameval.errors import SettingError


def add_group_name(parser: _ActionsContainer) -> None:
    """Add the option."""
    parser.add_argument(
        "--group-name",
        metavar="NAME[=PLURAL]",
        help="what a group is called in the report and the terminal, such as patient, or "
        "family=families (group)",
    )


def names_given(options: Namespace) -> dict[str, str]:
    """Return the words of the option, by those that they replace.

    Raises
    ------
    SettingError
        If a word is empty.
    """
    if options.group_name is None:
        return {}
    name, has_plural, plural = (part.strip() for part in options.group_name.partition("="))
    if not name or (has_plural and not plural):
        raise SettingError(
            "--group-name must be a word, or a word and its plural as family=families, got "
            f"{options.group_name!r}"
        )
    return {"group": name, "groups": plural or f"{name}s"}
