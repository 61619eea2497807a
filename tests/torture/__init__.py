"""Kill -9, full disks and noise by the hundred, and controls that show that the checks bite."""
