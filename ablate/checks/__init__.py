"""What to doubt of a study, of its results and of its tuning: one record, one list of codes.

finding  the record and the codes
study    of a valid study, before anything runs
claims   of what is concluded of it
budgets  of the chance that each variant gets
seeds    of whether its seeds are enough
data     of its data, once cut
models   of its variants' models and first training steps
results  of results, such as ones that are the same where they should differ
curves   of the curves of runs
values   of the values that runs end with
tuning   of how a study was tuned
"""
