"""Writing the pump's rows outside the hot path."""
