"""The page that `dvc plots show` and `dvc plots diff` fill in, with Vega inside: DVC's own loads it from a CDN.

python -m tests.plots_page      writes .dvc/plots/page.html anew, after another version of vl-convert-python

It lies in Git because DVC wants the file at the moment it plots, in a fresh clone and before any stage has run, and has
no way to make it; minified, 0.9 MB, 0.3 MB packed.
"""

from stages.common.core.files import write_text
from stages.report.page import drawing_code
from tests.workspace import ROOT

PAGE = ROOT / ".dvc/plots/page.html"
# DVC puts its own text in place of {refresh_tag} and {plot_divs}; without {scripts} it names no CDN
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="POLICY">
{refresh_tag}
<title>Plots</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; }
body { margin: 1rem; font: 15px/1.5 system-ui, sans-serif; overflow-x: auto; }
table { border-spacing: 15px; }
</style>
<!-- Vega, Vega-Lite, Vega-Embed (BSD-3-Clause, University of Washington Interactive Data Lab) and D3 (ISC), bundled by
vl-convert. Written by `python -m tests.plots_page`. -->
<script>
BUNDLE
</script>
<script>
// the plots' own scripts call vegaEmbed; what they name is drawn by what stands above, in the reader's colours
(function (embed) {
  const axis = { labelColor: "currentColor", titleColor: "currentColor", gridColor: "rgba(128,128,128,0.25)" };
  const text = { labelColor: "currentColor", titleColor: "currentColor" };
  const config = { background: null, axis, legend: text, header: text, title: { color: "currentColor" } };
  const actions = { export: true, source: false, compiled: false, editor: false };
  window.vegaEmbed = function (place, spec) {
    const { $schema, ...rest } = spec;
    return embed(place, rest, { mode: "vega-lite", renderer: "svg", actions, config });
  };
})(window.vegaEmbed);
</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""
POLICY = (
    "default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'"
)


def page() -> str:
    """Return the template as it lies in .dvc/plots."""
    return TEMPLATE.replace("POLICY", POLICY).replace("BUNDLE", drawing_code())


if __name__ == "__main__":
    write_text(PAGE, page())
