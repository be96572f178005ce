"""How Sphinx builds the site from what `docs/build.py` has staged. Nothing is executed, and no page loads
anything from the network."""
import sys
from pathlib import Path
DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]
from trm_docs import roles
from trm_docs.site import Site
from trm_lab import __version__

roles.SITE = roles.SITE or Site() # `docs/build.py` has made it already
project, author, release = "trm-lab", "the trm-lab authors", __version__
project_copyright = "2026 onwards, the trm-lab authors. Apache-2.0"
extensions = ["myst_nb", "trm_docs.roles"]

# notebooks: shown with the outputs that are stored in them
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {} # widgets show the picture that stands beside them
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"] # a stored output may begin with a small heading
html_math_renderer = "mathml" # browsers draw it without a script

default_role = "code"
smartquotes_action = "D" # quotation marks stay as they are typed
python_maximum_signature_line_length = 70
add_module_names = False
toc_object_entries_show_parents = "hide"
highlight_language = "none"
pygments_style, pygments_dark_style = "friendly", "monokai"

html_theme = "furo"
html_title = f"trm-lab {release}"
html_static_path = [str(DOCS/"static")]
html_css_files, html_js_files = ["site.css"], ["sentences.js"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_show_search_summary = False # excerpts would have to be fetched, which pages from disk cannot
exclude_patterns = []
