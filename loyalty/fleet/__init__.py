"""Companies and fleets: departments, vehicles, drivers, who may spend what, and where every litre went."""
