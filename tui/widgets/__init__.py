"""One file per part of the screen."""
