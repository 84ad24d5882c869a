"""What is trained on: downloads, decoded images kept as arrays, image folders, and a dataset as a run uses it."""
