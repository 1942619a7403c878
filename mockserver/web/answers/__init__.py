"""Large answers: how many are made at once, where they are kept until they are read, and how they are sent."""
