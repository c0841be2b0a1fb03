"""How the back office writes moments: one way everywhere, with the zone they are in."""
