"""What tests share: real keys, a hand-turned clock, forged tokens."""
