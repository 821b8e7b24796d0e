"""Checks that can fail: backends against each other and the rate limit, rules against their promises, biology,
stored files."""
