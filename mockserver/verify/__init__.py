"""What clients did, judged afterwards: verdict, coverage, near misses, reports."""
