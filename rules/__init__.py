"""Rules as pages: the format, the engine, the case runner and the catalogue. Pure: no sockets, no clock."""
