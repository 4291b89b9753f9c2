"""Files by which memories leave and come: this project's own format, and what others write."""
