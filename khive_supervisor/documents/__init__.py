"""Documents as entries: text, Markdown, JSON Lines and PDF cut into pieces that can be found."""
