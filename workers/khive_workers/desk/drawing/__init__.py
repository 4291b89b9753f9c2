"""Pictures of the page, as SVG that the server draws."""
