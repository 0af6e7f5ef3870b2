"""The command line: a file a command group; each command parses, calls and prints.

Heavy imports (torch, Optuna) happen inside commands, so that ``optdet --help`` stays quick.
"""
