"""Many runs, to answer one question: their matrix, their results, and what the results come to.

A *study* asks something of *arms* (settings to compare) by training each with every *seed* at one budget. Its
finished runs lie in a file, a line each, so it can be stopped and shared among processes at any time. Its report is
made of that file alone.
"""
