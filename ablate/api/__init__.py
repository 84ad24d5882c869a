"""ablate from Python: what `import ablate` offers beside the names that plugins need.

The folder is not called `library`, since `ablate.library` is a decorator that plugins use.
"""
