"""Backup, restore and the move to PostgreSQL: what a database holds, taken elsewhere and compared."""
