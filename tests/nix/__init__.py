"""The NixOS module, evaluated: by a small library of our own, or by nixpkgs' where NIXPKGS_LIB names it."""
