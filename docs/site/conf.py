"""Sphinx configuration of the site; `python -m tools.site` copies it next to the pages."""

project = "cookiecutter-multistage-python"
html_title = project
extensions = ["myst_parser", "sphinx_copybutton"]
html_theme = "furo"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
exclude_patterns = ["_extra"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
# As in the repository: quotes and dashes unchanged, and no colours in a block without a language.
smartquotes = False
highlight_language = "none"
# Anchors of headings, as GitHub creates them.
myst_heading_anchors = 6
# Copy the commands of a session without their prompts and their output.
copybutton_prompt_text = "$ "
copybutton_here_doc_delimiter = "EOT"
copybutton_line_continuation_character = "\\"
# A session's output need not be valid in the language of its block.
suppress_warnings = ["misc.highlighting_failure"]
