"""The pure ground floor: words, grammar, rules. No I/O, clock, randomness, logging or SDK in here."""
