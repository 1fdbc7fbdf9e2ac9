"""Half a year of data of a fictional team, for trying out and for screenshots: `manage.py load_demo`."""
