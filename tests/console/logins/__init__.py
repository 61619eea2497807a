"""Tests of how accounts are logged in."""
