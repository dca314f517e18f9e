"""What is written twice: in C, through Cython, and in Python."""
