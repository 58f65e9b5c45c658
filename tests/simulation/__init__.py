"""Years of the daemon's life in seconds: real step and real pass, in a simulated world that fails by a seeded script.

`scenario` draws a plan and its faults from a seed; `world` is what lies outside: ECR, Airflows, files, the network;
`host` is a machine with a daemon on it; `worker` runs the real pass of job/refresh.py over that world; `watch` looks
on and calls out whatever breaks a rule of the design. `clock` is the time of it all. A seed reproduces a run.
"""
