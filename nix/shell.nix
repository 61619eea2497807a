# A shell to work on Queenpost in: Python, make and what the checks look for. The Python packages themselves come
# from requirements/*.txt into .venv/, as everywhere else. Parsed by `make check`, not built where it was written.
# On NixOS itself the wheels of ruff, uv and node are foreign programs: they need programs.nix-ld.enable.
{ mkShell, gnumake, git, nix, python3, sqlite }:

mkShell {
  packages = [ gnumake git nix python3 sqlite ];

  shellHook = ''
    echo 'make check, make demo; make help lists the rest'
  '';
}
