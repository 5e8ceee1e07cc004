"""Settings of the documentation site, which scripts/site builds.

The source folder is the root of the checkout, so that links between pages, and from pages to files,
are the same here as where a host of code shows the pages.
"""

from importlib.metadata import version as version_of

project = "Watchword"
version = release = version_of("watchword")
extensions = ["myst_parser", "scripts.site_pages"]

root_doc = "docs/README"
include_patterns = ["*.md", "docs/**.md", "examples/*/README.md"]
# No page is below these; to walk through them takes seconds.
exclude_patterns = [".*", "build", "mutants", "**/node_modules", "tests"]

# As deep as headings go, since any heading may be linked to.
myst_heading_anchors = 6

html_theme = "pydata_sphinx_theme"
html_title = "Watchword"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
# The mode of the system, until a reader chooses one.
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navbar_end": ["version-switcher", "theme-switcher"],
    # Sections of how-tos are shown whole, so that every page is in sight.
    "show_nav_level": 2,
    "footer_start": [],
    "footer_end": [],
    "check_switcher": False,
    "show_version_warning_banner": True,
}
