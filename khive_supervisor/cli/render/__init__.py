"""How commands print: tables, times, colours, errors."""
