"""A search for better settings that knows what a trial costs, on Optuna.

`command.tune` goes from top to bottom; `opening` is what a study begins with, `space` what may vary, `plan` which
sampler and pruner suit the trials that fit and what they will take, `alike` what settings will take, `deadline` what of
the time is kept for the final run, `storage` where a study lives, `trial` what an objective is given, `search` the loop
of one process, `workers` several of them, `session` either with a progress `line`, `ranking` which trial is ahead,
`comparison` whether it was worth it, `outcome` and `charts` what the report shows, `events` what TensorBoard shows.
"""
