"""The cashier's counter: a browser that is a till. Keyboard first, and nothing lost when the network drops."""
