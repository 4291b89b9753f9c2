"""What is shown of all that runs, by the page and in a terminal: what is asked, and made of it."""
