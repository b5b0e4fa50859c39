"""The command line of the core: parse, one library call, print."""
