"""Test designs, each written once and used by many claims."""
