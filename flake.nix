{
  description = "Queenpost: a durable post office and turn-loop harness for fleets of LLM agents";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  # `make check` parses this and evaluates the module; not built where it was written, for want of a copy of nixpkgs.
  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: { default = pkgs.callPackage ./nix/package.nix { }; });
      devShells = forEach (pkgs: { default = pkgs.callPackage ./nix/shell.nix { }; });
      nixosModules.default = import ./nix/module.nix;
      overlays.default = final: _: { queenpost = final.callPackage ./nix/package.nix { }; };
    };
}
