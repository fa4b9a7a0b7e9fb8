"""The fleet portal under /fleet: a company's own people see and steer its vehicles, drivers, cards and money."""
