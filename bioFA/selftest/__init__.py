"""Wrong and hostile input put to the installed package, with the outcomes counted."""
