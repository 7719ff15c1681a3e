"""A search for better settings that knows what a trial costs, on Optuna.

`command.tune` goes from top to bottom; `space` is what may vary, `plan` which sampler and pruner suit the trials that
fit and what they will take, `storage` where a study lives, `trial` what an objective is given, `search` the loop of one
process, `workers` several of them, `comparison` whether it was worth it, `outcome` and `charts` what the report shows.
"""
