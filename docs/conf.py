"""Configuration of the documentation site: `sphinx-build -W docs docs/_build/html`."""

import inspect
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in commands
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import pages

from keras_unrolled import environment

# === Project ===
project = "keras_unrolled"
author = copyright = "The keras_unrolled contributors"
release = version = environment.package_version()
html_title = f"keras_unrolled {release}"

# === Sources ===
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "generated/*.md"]  # the latter are included by pages
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

smartquotes = False  # options of commands keep their two dashes

# === Notebooks: run during the build, again only after they have changed ===
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds, of one cell
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress, and notices of libraries

# === API: the public names of a module are those of its `__all__` ===
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have the types and shapes
autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_custom_sections = [("Call arguments", "params_style")]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

# === Pages: nothing is loaded from other hosts ===
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["sortable.css"]
html_js_files = ["sortable.js"]
html_copy_source = False
html_show_sphinx = False

_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(\w?)|[|]")
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


def use_code_role(app, what, name, obj, options, lines):
    """Turns the Markdown code of docstrings into literals, or links where it is a public name."""
    if what == "module":  # on the order of its files, for contributors
        lines.clear()

    def replace(match):
        if match[0] == "|":
            return r"\|"
        code, next_letter = " ".join(match[1].split()), match[2]
        is_name = _NAME.fullmatch(code) and (code[0].isupper() or "_" in code or "." in code)
        text = f":py:obj:`{code}`" if is_name else f"``{code}``"
        return f"{text}\\ {next_letter}" if next_letter else text

    text = "\n\n".join(_CODE.sub(replace, part) for part in "\n".join(lines).split("\n\n"))
    lines[:] = text.split("\n")


def use_init_signature(app, what, name, obj, options, signature, returns):
    """The arguments of a layer or model: Keras's `__new__` hides them."""
    if what == "class" and signature == "(*args, **kwargs)":
        _, *rest = inspect.signature(obj.__init__).parameters.values()
        return str(inspect.Signature(rest)), returns
    return None


def lead_to_pages(app, name, source):
    """Replaces links to files of the checkout by links to the pages made from them."""
    up = "../" * name.count("/")
    for file, page in pages.PAGES.items():
        source[0] = source[0].replace(f"]({up}../{file}", f"]({up}{page}")


def setup(app):
    pages.write_pages(HERE)
    app.connect("source-read", lead_to_pages)
    app.connect("autodoc-process-signature", use_init_signature)
    app.connect("autodoc-process-docstring", use_code_role, priority=400)  # before napoleon
