"""The embedded default's brush: pictures, clips and texts from a prompt and a seed.

Needs no key, no graphics card and no network. `paint`, `clip` and `prose` are pure
functions of their specs; `worker` runs them in a process of its own behind `pipe`.
This module imports nothing, so that the server can use `pipe` without NumPy.
"""
