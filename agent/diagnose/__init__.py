"""From what the rules say at one instant to what is wrong over time: persistence, causes, risks."""
