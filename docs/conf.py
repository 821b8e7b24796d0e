"""Sphinx: the documentation site. Build: pip install '.[docs]' && sphinx-build -W -b html docs site."""

import sys
from pathlib import Path

import bioFA

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "bioFA"
author = "The bioFA developers"
version = release = bioFA.__version__
extensions = ["myst_nb", "sphinx_gallery.gen_gallery", "reference_pages"]
exclude_patterns = [
    "_ext",
    "gallery/*",
    "**.ipynb_checkpoints",
    "auto_gallery/*.ipynb",
    "auto_gallery/*.py",
    "auto_gallery/*.md5",
    "auto_gallery/*.zip",
    "auto_gallery/*.json",
]
html_theme = "furo"
html_title = f"bioFA {release}"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "dollarmath"]
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "min_reported_time": 60,
}
suppress_warnings = ["config.cache"]
