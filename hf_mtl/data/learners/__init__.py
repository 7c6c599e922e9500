"""Learners, which move the mixture by what training shows. A new module here that registers one is found."""
