"""From the records of a study to its answer: whether training together helped, by how much, and why not."""
