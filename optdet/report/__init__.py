"""What people look at first: a study as one page, and what its detector gets wrong."""
