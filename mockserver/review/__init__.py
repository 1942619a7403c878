"""What is seen by looking back: matching requests, near misses, the verdict on a client, and coverage."""
