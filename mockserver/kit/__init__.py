"""What a client of the admin API is made of."""
