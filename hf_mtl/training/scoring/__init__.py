"""From predictions to the scores that a Trainer logs, selects and stops on."""
