"""Sphinx configuration of the site; `python -m tools.site` copies it next to the pages."""

project = "cookiecutter-multistage-python"
html_title = project
extensions = ["myst_parser", "sphinx_copybutton"]
# Pages are addressed by their file, so that they also work without a web server.
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
# Anchors of headings, as GitHub creates them.
myst_heading_anchors = 6
# Output is not highlighted; commands that a session shows are copied without their prompt and without their output.
copybutton_prompt_text = "$ "
copybutton_here_doc_delimiter = "EOT"
copybutton_line_continuation_character = "\\"
# A session's output need not be valid in the language of its block.
suppress_warnings = ["misc.highlighting_failure"]
