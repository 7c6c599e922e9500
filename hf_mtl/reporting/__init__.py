"""Results -> tables and figures."""
