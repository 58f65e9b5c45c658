"""Old containers and images go: by use, not by age, and never what is needed. `policy` decides, `janitor` acts."""
