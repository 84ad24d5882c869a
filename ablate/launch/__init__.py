"""What `run`, `tune`, `lr-find` and `plan` share: a study made ready, its plan, its costs, and how its runs begin.

study      the study read, checked and resolved; its runs, without a look at the store
schedules  what its schedules do over a run
asked      which runs a study asks for: all, or those that the looks at its results want
probes     what its variants' first steps give
plan       each of its runs looked up in the store
costs      how long runs are expected to take, and how much room
spread     how much runs are expected to differ from seed to seed
power      the smallest difference that a study's seeds can show
executors  the executor that a command names
git        the state of the study file's repository
jobs       runs as an executor takes them
ready      the last steps before runs are made
rehearsal  each variant tried out before any run starts
room       whether the store can take them: links, space
record     what is about to run, recorded in the store
make       all of these in turn, for `ablate run` and `ablate.run`
announce   what a command says of a study before it begins
apart      which further variants tell a variant's changes apart
tuned      the best settings that tuning found, as variants
look_lines  what the looks at a growing study came to, a line each
measure    the metrics that a study names, computed of its runs
last       the study run last, and commands for a study as a user would type them
over       which study a command that reads results means
"""
