"""The views of the page: pure functions of a query, of answers, and of the time."""
