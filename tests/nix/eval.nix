# What the module makes of a configuration, as plain data. With `libPath` by nixpkgs' own lib, else by `stub.nix`.
{ libPath ? null }:

let
  stub = import ./stub.nix;
  lib = if libPath == null then stub else import (/. + libPath);
  module = ../../nix/module.nix;

  package = {
    type = "derivation";
    name = "queenpost";
    outPath = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-queenpost";
    meta.mainProgram = "queenpost";
  };
  pkgs = {
    callPackage = _: _: package;
    mosquitto = package // { name = "mosquitto"; outPath = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-mosquitto"; };
  };

  # The options of NixOS that the module sets.
  nixos = { lib, ... }:
    let anything = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; }; in
    {
      options = {
        assertions = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
        environment = anything;
        networking = anything;
        users = anything;
        systemd = anything;
      };
    };

  evaluated = said:
    if libPath == null then stub.evalModule { inherit module pkgs said; }
    else (lib.evalModules { specialArgs = { inherit pkgs; }; modules = [ nixos module said ]; }).config;

  said = config: { services.queenpost = config; };

  # As NixOS does it: every assertion that does not hold, in one error.
  failures = config: map (rule: "- ${rule.message}") (builtins.filter (rule: !rule.assertion) config.assertions);

  result = config:
    let
      made = evaluated (said config);
      failed = failures made;
    in
    if !made.services.queenpost.enable then { units = made.systemd.services or { }; }
    else if failed != [ ] then throw "Failed assertions:\n${builtins.concatStringsSep "\n" failed}"
    else {
      files = builtins.mapAttrs (_: file: file.text) made.environment.etc;
      units = made.systemd.services;
      ports = made.networking.firewall.allowedTCPPorts;
      inherit (made.users) users groups;
    };

  accepts = config: (builtins.tryEval (builtins.deepSeq (result config) true)).success;

  # Every option of the settings: its type, default and description by path.
  leaves = path: options: builtins.concatLists (map
    (name:
      let
        it = options.${name};
        at = path ++ [ name ];
        inner = builtins.removeAttrs (it.type.getSubOptions [ ]) [ "_module" ];
      in
      if it._type or null != "option" then leaves at it
      else if inner != { } && (it.default or null) != null then leaves (at ++ [ "NAME" ]) inner
      else [{ path = at; type = it.type.description; inherit (it) default description; }])
    (builtins.attrNames options));
in
{
  make = text: result (builtins.fromJSON text);
  makeModule = module: result module.services.queenpost;
  accepts = text: map accepts (builtins.fromJSON text);
  options = leaves [ ] (import ../../nix/options.nix { inherit lib; });
}
