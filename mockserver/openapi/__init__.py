"""OpenAPI documents: reading them, routing and validating requests by them, and the responses they document."""
