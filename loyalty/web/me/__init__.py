"""The holder's own page, held in one hand: what is on the card, paying a fill, a code for the counter, stopping a card."""
