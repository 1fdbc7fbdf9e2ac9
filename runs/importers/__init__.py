"""Takes over the runs of other tools: reads their files, shows what is in them, stores it, and undoes it again."""
