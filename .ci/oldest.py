"""Print the lowest declared version of all that the tests need, as constraints for pip.

``pyproject.toml`` is the one source: the runtime dependencies, the extra ``test`` and the extras
that it takes in. A requirement without a lowest version is an error.
"""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
OWN_EXTRAS = re.compile(rf"{PROJECT['name']}\[([\w,-]+)\]")
AT_LEAST = re.compile(r"([\w.-]+)>=([\w.]+)")


def lowest(requirements: list[str]) -> list[str]:
    """Constraints ``name==version`` for requirements ``name>=version``."""
    found = []
    for requirement in requirements:
        if extras := OWN_EXTRAS.fullmatch(requirement):
            for extra in extras[1].split(","):
                found += lowest(PROJECT["optional-dependencies"][extra])
        elif declared := AT_LEAST.fullmatch(requirement):
            found.append(f"{declared[1]}=={declared[2]}")
        else:
            raise SystemExit(f"a requirement must read 'name>=version', got {requirement!r}")
    return found


print("\n".join(sorted(set(lowest(PROJECT["dependencies"] + [f"{PROJECT['name']}[test]"])))))
