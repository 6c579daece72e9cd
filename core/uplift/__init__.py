"""What a treatment changed, shopper by shopper: who was treated, whether the groups are alike, estimates that are checked."""
