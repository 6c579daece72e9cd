"""What is offered to a shopper: a merchant's rules over ranked candidates, and why an item is not among what is left."""
