"""The site's settings: Sphinx reads Markdown and notebooks, and what _ext/ writes from the package itself."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# One thread of linear algebra for each notebook, and no look for accelerators: as the tests do.
for name, value in {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"}.items():
    os.environ.setdefault(name, value)

# The course is the notebooks as they are; Sphinx wants its pages in one folder.
COURSE = HERE / "course"
COURSE.mkdir(exist_ok=True)
for _old in COURSE.glob("*.ipynb"):
    if not (HERE.parent / "notebooks" / _old.name).exists():
        _old.unlink()
for _notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    _copy = COURSE / _notebook.name
    if not _copy.exists() or _copy.read_bytes() != _notebook.read_bytes():
        shutil.copyfile(_notebook, _copy)

project = "descentlab"
author = "descentlab authors"
project_copyright = author
html_title = "descentlab"
exclude_patterns = ["_ext", "_static"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "accessible", "mathml", "reference"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # pages that did not change are not read again
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 300
nb_execution_in_temp = True  # what an example writes is thrown away
nb_output_stderr = "error"  # a warning in a notebook fails the build
nb_merge_streams = True
# A page without a kernel cannot run widgets: their picture is shown, and nothing is loaded from elsewhere.
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_preserve_defaults = True
maximum_signature_line_length = 90
add_module_names = False
smartquotes = False  # "--start" is no dash

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["lab.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
templates_path: list[str] = []
