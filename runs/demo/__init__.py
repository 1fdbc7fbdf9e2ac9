"""Half a year of a made-up team, to look at and to take pictures of: `manage.py load_demo`."""
