"""Delivery of callbacks over HTTP and to SQS."""
