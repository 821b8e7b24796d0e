"""bioFA on trial: faults, bad input and hostile input put to the installed package, with what came of it counted."""
