"""Sphinx configuration, used by ``make docs``. The build needs no network access."""

import re
import runpy
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import inspect, logging
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parent))  # `gallery_order`, `gallery_pages`
from gallery_pages import link_pictures, name_files

project = "cameval"
author = "The cameval developers"
project_copyright = author
release = version = installed_version("cameval")

extensions = [
    *("numpydoc", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.intersphinx"),
    *("sphinx.ext.viewcode", "sphinx_copybutton", "sphinx_gallery.gen_gallery"),
]
exclude_patterns = ["_build", "gallery"]
nitpicky = True
nitpick_ignore_regex = [  # external names that `inventories.py` does not have; never cameval's
    (r"py:.*", r"(collections|nn|np|numpy|os|pandas|pathlib|python|skimage|torch)[.:].+"),
    (r"py:.*", r"torchmetrics\..+"),
    (r"py:.*", r"matplotlib\..+"),
    (r"py:class", r"Axes"),  # matplotlib's
    (r"py:class", r"cameval\..+\.[A-Z]"),  # type variables
]

_SITES = runpy.run_path(str(Path(__file__).parent / "inventories.py"))["SITES"]
intersphinx_mapping = {name: (site, f"inventories/{name}.inv") for name, site in _SITES.items()}
intersphinx_disabled_reftypes = ["std:*"]  # pages and labels are this project's own
intersphinx_timeout = 1

# --- Docstrings -----------------------------------------------------------------------------------

default_role = "py:obj"  # `name` is a link where it names an object, see `bare_name` below
add_module_names = True  # cameval.metrics.specificity(...): where to import it from
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
maximum_signature_line_length = 130
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = {"of", "or"}
numpydoc_xref_aliases = {"bool": "bool"}

# A registration with `split` is not a signature of it.
inspect.is_singledispatch_function = lambda obj: False


PACKAGES = ["cameval"] + [
    f"cameval.{package}"
    for package in (
        *("baselines", "binarizers", "data", "distributed", "errors", "evaluation", "extractor"),
        *("losses", "maps", "methods", "metrics", "networks", "plots", "protocols", "report"),
        *("sanity", "statistics", "target_classes", "training"),
    )
]


PRIVATE = re.compile(r"\._(?!_)")
"""In a name: a private module or object; not one with two underscores, such as ``__call__``."""

IN_SIGNATURES = {
    "cameval._arrays.Array": ("api/index", "arrays-in-signatures"),
    "cameval.evaluation._loading.SizedSamples": ("api/index", "samples-in-signatures"),
    "cameval.evaluation._plan.Named": ("api/index", "named-in-signatures"),
    "cameval.networks._randomize.Net": ("api/sanity", "networks-in-signatures"),
}
"""Types that no public name has: the section that explains them."""


def forget_private_names(_app: Sphinx, env: Any) -> None:
    """Remove the second, private names of objects from the inventory; see `bare_name`."""
    objects = env.domains.python_domain.objects
    for name in [name for name in objects if PRIVATE.search(name) and objects[name].aliased]:
        del objects[name]


def check_names(_app: Sphinx, env: Any) -> None:
    """Warn of names in the inventory that nobody imports: private ones, and doubled paths."""
    for name, entry in env.domains.python_domain.objects.items():
        if PRIVATE.search(name) or ".cameval." in name:
            logging.getLogger(__name__).warning(
                "%s is no public name", name, location=entry.docname
            )


def bare_name(app: Sphinx, env: Any, node: Any, text: Any) -> nodes.Element | None:
    """Link a bare `name` to the public object of that name; set other names in italics.

    Names in ``:func:`` and ``:class:`` are looked up in every public package, too.
    """
    name, kind = node["reftarget"], node.get("reftype")
    if kind not in {"obj", "func", "class", "meth"} or node.get("refdomain") != "py":
        return None
    python, here = env.domains.python_domain, node["refdoc"]
    if name in IN_SIGNATURES:
        return make_refnode(app.builder, here, *IN_SIGNATURES[name], text)
    if name.startswith("cameval.") and PRIVATE.search(name):
        name = name.rpartition(".")[2]  # where a public object is defined
    if "." in name and not name[0].isupper():
        return None
    for package in PACKAGES:
        target = f"{package}.{name}"
        if link := python.resolve_xref(env, here, app.builder, "obj", target, node, text):
            return link
    return nodes.emphasis(name, name) if kind == "obj" and "." not in name else None


_ABC = r"~collections\.abc\."
_NAMED = re.compile(rf"{_ABC}Mapping\[str, (.+?)\] \| {_ABC}Sequence\[\1\] \| \1")
_ARRAY = re.compile(r"~?numpy\.ndarray\[~?tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[")


def shorten(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, *signature: Any) -> Any:
    """Write types and defaults in a signature as the source does."""
    return tuple(part and _as_written(part) for part in signature)


def _as_written(text: str) -> str:
    text = text.replace("<factory>", "...")  # a default that is made for each call
    while found := _ARRAY.search(text):  # ndarray[tuple[Any, ...], dtype[X]] is NDArray[X]
        depth, end = 1, found.end()
        while depth:
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            end += 1
        inner = text[found.end() : end - 1]
        text = f"{text[: found.start()]}~numpy.typing.NDArray[{inner}]{text[end + 1 :]}"
    text = _NAMED.sub(r"~cameval.evaluation._plan.Named[\1]", text)
    return re.sub(r"<function (\w+).*?>", r"\1", text.replace("[~typing.Any]]", "]"))


def docstring(
    _app: Sphinx, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]
) -> None:
    """Remove docstrings of data, and escape initials that look like list items."""
    if what == "data":  # the docstring of its type; the page describes it
        lines.clear()
    # "L. R. Dice" at the start of a line is not item L of a list.
    lines[:] = [re.sub(r"^(\s*)([A-Z]\. )", r"\1\\\2", line) for line in lines]


# --- Gallery --------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"trained\.py",
    "within_subsection_order": "gallery_order.ByList",
    "capture_repr": ("_repr_html_",),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 600,
    "remove_config_comments": True,
    "thumbnail_size": (480, 336),
    "backreferences_dir": None,
    "abort_on_example_error": True,
}
copybutton_exclude = ".linenos, .gp, .go"  # prompts and output are not copied

# --- Pages ----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_show_sphinx = False
html_math_renderer = "mathml"


def inline_math(translator: Any, node: nodes.math) -> None:
    """Write an inline formula as MathML, which browsers render without a script."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    """Write a displayed formula as MathML."""
    translator.body.append(f"<div>{tex2mathml(node.astext(), as_block=True)}</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the handlers above."""
    app.connect("missing-reference", bare_name)
    app.connect("env-updated", forget_private_names)
    app.connect("env-check-consistency", check_names)
    app.connect("source-read", name_files)
    app.connect("html-page-context", link_pictures)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-process-docstring", docstring, priority=900)  # after numpydoc
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
