"""Search for hyperparameters with equal trials for every arm: at random, then by TPE.

A *trial* is an ordinary run with some keys of an arm's recipe drawn. The first one of each arm is the arm as it is,
the *default*. The *chosen* trial is the best by a validation score; the test is scored once, for these two.
"""
