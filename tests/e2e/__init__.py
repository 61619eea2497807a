"""The real agent programs against a scripted model on loopback; run by `make e2e`."""
