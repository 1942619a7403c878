"""Answers: their turns on the loop, how many large ones are made at once, where they are kept, how they are sent."""
