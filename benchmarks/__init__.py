"""The speed goals, measured: ``python -m benchmarks [--quick] [part ...]`` from the project's root.

Each part is one module with a function ``rows(effort)``. It measures a limit (what the machine does with
no whirr in between) and whirr in the same run, turn by turn, so that both meet the same weather.
"""
