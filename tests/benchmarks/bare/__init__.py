"""The floor of uploads: Django and DRF served like the portal, a view that checks a token and inserts one row."""
