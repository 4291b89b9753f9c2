"""From a query to ranked results that explain themselves."""
