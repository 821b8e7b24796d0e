"""Side-by-side timings: bioFA against other ways to run the same learning network. See README.md."""
