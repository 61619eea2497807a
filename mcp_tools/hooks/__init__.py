"""Programs that a client of an attended session runs at certain moments: its hooks. None imports anything of ours."""
