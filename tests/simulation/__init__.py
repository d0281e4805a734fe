"""A whole small world in virtual time: server, disk, providers, clients, one seed.

`python -m tests.simulation --seeds 100000` runs many of them, `--start S --seeds 1` one
again. What is real and what is not is said in each module.
"""
