"""The pump: authorise, complete, reverse, sale, refund, advice."""
