"""bioFA on trial, in a checkout: fault drills with their control, and a long soak (`python -m trial`)."""
