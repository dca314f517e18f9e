"""The modules that are written twice: in Cython and in Python."""
