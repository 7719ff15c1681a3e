"""What each time-saver brings on this machine for this project, measured in pairs: the command `levers`.

`turns` lets two trainings run in turns, `speed` makes a gain of their pairs, `convergence` trains to the same score,
`command` puts them in order within a time budget, `apply` writes the choice to config.toml. None of it sees test data.
"""
