"""Sphinx configuration: MyST pages, notebooks executed, warnings are errors (make docs)."""

from dxa_causal import __version__

project = "dxa_causal"
author = "The dxa_causal developers"
copyright = "2026, The dxa_causal developers"
release = version = __version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinxcontrib.bibtex",
]
html_theme = "sphinx_book_theme"
html_title = "dxa_causal"
exclude_patterns = ["_build", "jupyter_execute"]
templates_path = []

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
