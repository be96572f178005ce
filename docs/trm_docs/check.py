"Checks a built site: every link inside leads somewhere, and no page loads anything from the network."
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# what a browser loads when it opens a page
LOADS = {(tag, "src") for tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "input")}
LOADS |= {("link", "href"), ("object", "data"), ("img", "srcset"), ("source", "srcset")}
# of <link rel>: what only names a place
NOT_LOADED = {"canonical", "license", "next", "prev", "index", "search", "alternate"}

class Page(HTMLParser):
    "What a page names, loads and links to."
    def __init__(self, path:Path):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"): self.links.append(given["href"])
        if tag == "link" and set((given.get("rel") or "").split()) & NOT_LOADED: return
        self.loads += [given[name] for name in given if (tag, name) in LOADS and given[name]]
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", given.get("style") or "")

def _outside(target:str)->bool:
    return target.startswith("//") or urlsplit(target).scheme not in ("", "data", "file")

def _foreign(where:Path, target:str)->str:
    return f"{where}: loads {target} from the network; keep a copy in the site"

def problems(
    site:Path, # the built pages
    whole:bool=True, # are all pages there? Where only a part was built, a missing page is no fault
)->list[str]:
    "One sentence for each broken link and for whatever would be loaded from elsewhere."
    paths = [p for p in sorted(site.rglob("*.html")) if "_static" not in p.relative_to(site).parts]
    pages = {path.resolve(): Page(path) for path in paths}
    found = []
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        found += [_foreign(where, target) for target in page.loads if _outside(target)]
        for target in [*page.links, *page.loads]:
            if _outside(target) or target.startswith("data:"): continue
            file, _, anchor = target.partition("#")
            file = (path.parent/unquote(file.partition("?")[0])).resolve() if file else path
            if file.is_dir(): file /= "index.html"
            if not file.exists():
                if whole: found.append(f"{where}: {target} leads to a file that is not there; mend the link")
            elif anchor and file in pages and not {anchor, unquote(anchor)} & pages[file].ids:
                found.append(f"{where}: {target} leads to a place that the page does not have; mend the link")
    for path in site.rglob("*.css"):
        text, where = path.read_text(encoding="utf-8"), path.relative_to(site)
        named = map("".join, re.findall(r"@import\s+['\"]([^'\"]+)|url\(['\"]?([^'\")]+)", text))
        found += [_foreign(where, target) for target in named if _outside(target)]
    return found
