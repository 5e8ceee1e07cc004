"""Client registry: who may ask for which scopes on which resource, and how they prove it."""
