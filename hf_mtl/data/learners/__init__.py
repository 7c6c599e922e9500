"""What moves the mixture by what training shows, one file each; a new module that registers a `Learner` is found."""
