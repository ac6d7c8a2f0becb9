"""One module a command: its flags, the request that they make, and what is printed of the result."""
