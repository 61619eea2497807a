"""A scripted model on loopback that speaks the APIs of the real agent programs: what they hear is what a test says."""
