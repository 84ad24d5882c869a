"""What to doubt of a study, of its results and of its tuning: one record, one list of codes.

finding  the record and the codes
study    of a valid study, before anything runs
claims   of what is concluded of it
data     of its data, once cut
results  results that are the same where they should differ
tuning   of how a study was tuned
"""
