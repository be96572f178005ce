"""The Sphinx extension: roles that name things of the library, links from code in prose to its description,
formulas without a script.

`lib` links to a name of the library, `lesson` to the notebook that exports it, `config` and `sweep` to a file
of settings, `cmd` to a command. A name that is not there, or there twice, is a warning, and the build takes
warnings for errors: pages survive that modules move, and notice that names change."""
import html
from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole
from .library import Module, UnknownName
from .rst import label_of

logger = logging.getLogger(__name__)
SITE = None # set by conf.py

def _reference(role, domain:str, kind:str, target:str, shown:nodes.Node)->addnodes.pending_xref:
    return addnodes.pending_xref("", shown, refdomain=domain, reftype=kind, reftarget=target,
        refexplicit=True, refwarn=True, refdoc=role.env.docname)

class LibRole(SphinxRole):
    "{lib}`BinaryHalting`"
    def run(self):
        shown = nodes.literal(self.text, self.text, classes=["py"])
        try: item = SITE.library.find(self.text)
        except UnknownName as e:
            logger.warning(str(e), location=self.get_location())
            return [shown], []
        return [_reference(self, "py", "obj", item.full, shown)], []

class LessonRole(SphinxRole):
    "{lesson}`BinaryHalting`: the lesson that exports it, by its title"
    def run(self):
        try: notebook = SITE.lesson_of(SITE.library.find(self.text).module)
        except UnknownName as e:
            logger.warning(str(e), location=self.get_location())
            return [nodes.literal(self.text, self.text)], []
        if notebook is None or f"{notebook.page}" not in self.env.found_docs: # a part of the site is built
            return [nodes.inline("", notebook.title if notebook else self.text)], []
        return [_reference(self, "std", "doc", f"/{notebook.page}", nodes.inline("", notebook.title))], []

class LabelRole(SphinxRole):
    "{config}`maze-hard`, {sweep}`ablation`, {cmd}`data check`"
    def run(self):
        label = label_of(self.name, self.text)
        text = f"trm-lab {self.text}" if self.name == "cmd" else self.text
        return [_reference(self, "std", "ref", label, nodes.literal(text, text))], []

# ---- code in prose -----------------------------------------------------------
def _module_of(docname:str)->Module|None:
    "Whose names go first on a page: the module that the page describes or exports."
    for module in SITE.modules:
        lesson = SITE.lesson_of(module)
        if docname in (f"api/{module.name}", lesson.page if lesson else None): return module
    return None

def link_code(app, doctree):
    "Code in prose that is a name of the library becomes a link, where nothing else is meant."
    docname = app.env.docname
    if not docname.startswith("api/") and "api" not in app.env.found_docs: return
    module = _module_of(docname)
    for literal in list(doctree.findall(nodes.literal)):
        linked = isinstance(literal.parent, nodes.reference | addnodes.pending_xref | nodes.title)
        if linked or literal.get("classes"): continue
        said = literal.astext().removeprefix("trm_lab.")
        text = said.removesuffix("()")
        if text.isalpha() and text.islower() and text == said: continue # an ordinary word may mean anything
        if len(text) < 4 or not text.replace(".", "").replace("_", "").isalnum(): continue
        try: item = SITE.library.find(text, module)
        except UnknownName: continue
        if item.kind in ("attribute", "data") and "." not in text and module is None: continue
        literal.replace_self(addnodes.pending_xref("", literal.deepcopy(), refdomain="py", reftype="obj",
            reftarget=item.full, refexplicit=True, refdoc=docname))

def resolve_types(app, doctree):
    "Types in signatures lead to the class that the module means; those of other libraries lead nowhere."
    module = _module_of(app.env.docname)
    if module is None: return
    for xref in list(doctree.findall(addnodes.pending_xref)):
        if xref.get("refdomain") != "py" or xref.get("refexplicit"): continue
        try: item = SITE.library.find(xref["reftarget"].removeprefix("trm_lab."), module)
        except UnknownName:
            xref.replace_self(list(xref.children))
            continue
        xref["reftarget"], xref["refspecific"] = item.full, False

# ---- formulas ----------------------------------------------------------------
def _mathml(node, block:bool)->str:
    "A formula as MathML; what cannot be read is a warning and stands as it was written."
    try: return latex2mathml.tex2mathml(node.astext(), as_block=block)
    except MathError as e:
        logger.warning("the formula %s cannot be drawn: %s", node.astext(), e, location=node)
        return f"<code>{html.escape(node.astext())}</code>"

def inline_math(self, node):
    self.body.append(_mathml(node, block=False))
    raise nodes.SkipNode

def block_math(self, node):
    self.body.append(f'<div class="math">{_mathml(node, block=True)}</div>')
    raise nodes.SkipNode

def setup(app):
    app.add_role("lib", LibRole())
    app.add_role("lesson", LessonRole())
    for name in ("config", "sweep", "cmd"): app.add_role(name, LabelRole())
    app.connect("doctree-read", link_code)
    app.connect("doctree-read", resolve_types)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
