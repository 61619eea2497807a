# NixOS module: the broker and the harness of one fleet as services, and queenpost.toml from typed options.
#
# Both run as one user of their own; the home is /var/lib/<name>. Secrets are files outside of the store: the broker
# makes its tokens itself, everything else is named by path. See docs/nix.md.
{ config, lib, pkgs, ... }:

let
  inherit (lib) mkEnableOption mkIf mkOption optional optionals types;

  cfg = config.services.queenpost;
  home = "/var/lib/${cfg.name}";
  configPath = "queenpost/${cfg.name}.toml";
  command = "${lib.getExe cfg.package} --home ${home}";
  toml = import ./toml.nix (path: builtins.length path > 2) cfg.settings;
  hosted = lib.any (agent: agent.backend != "none") (lib.attrValues cfg.settings.agents);
  listens = cfg.settings.link.listen != null;

  # Of both programs.
  common = {
    User = cfg.user;
    Group = cfg.group;
    Type = "exec";
    WorkingDirectory = home;
    UMask = "0077";
    RestartSec = 5;
    NoNewPrivileges = true;
    CapabilityBoundingSet = "";
    LockPersonality = true;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
  };

  # Of the broker, which starts no program but its MQTT broker, and writes nowhere but to its home.
  strict = {
    DevicePolicy = "closed";
    MemoryDenyWriteExecute = true;
    PrivateDevices = true;
    ProcSubset = "pid";
    ProtectHome = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = [ "AF_UNIX" "AF_INET" "AF_INET6" ]; # MQTT is TCP, on loopback too
    RestrictNamespaces = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [ "@system-service" "~@privileged" "@chown" ]; # the last to give the socket to a group
  };
in
{
  options.services.queenpost = {
    enable = mkEnableOption "the broker and the harness of a Queenpost fleet";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The Queenpost package.";
    };

    name = mkOption {
      type = types.strMatching "[a-z][a-z0-9-]{0,30}";
      default = "queenpost";
      description = "Name of the folder below /var/lib that is the home of the fleet.";
    };

    user = mkOption {
      type = types.str;
      default = "queenpost";
      description = "User that broker and harness run as. One of this name is made; another one has to exist.";
    };

    group = mkOption {
      type = types.str;
      default = "queenpost";
      description = "Its group. One of this name is made; another one has to exist.";
    };

    path = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages that agents find on their PATH, where their programs are looked for.";
    };

    mosquitto = mkOption {
      type = types.nullOr types.package;
      default = pkgs.mosquitto;
      defaultText = lib.literalExpression "pkgs.mosquitto";
      description = ''
        What carries the events of jobs where `settings.mqtt.url` names nothing else; started with the first job.
        `null`: the MQTT broker in Python that comes with the package.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to open the port of `settings.link.listen` in the firewall.";
    };

    settings = import ./options.nix { inherit lib; };
  };

  config = mkIf cfg.enable {
    assertions = import ./rules.nix { inherit lib; inherit (cfg) settings; };

    environment.systemPackages = [ cfg.package ];
    environment.etc.${configPath}.text = toml;

    users.users = lib.optionalAttrs (cfg.user == "queenpost") {
      queenpost = { isSystemUser = true; inherit (cfg) group; inherit home; };
    };
    users.groups = lib.optionalAttrs (cfg.group == "queenpost") { queenpost = { }; };

    networking.firewall.allowedTCPPorts = optionals (cfg.openFirewall && listens) [
      (lib.toInt (lib.last (lib.splitString ":" cfg.settings.link.listen)))
    ];

    systemd.services = {
      queenpost-broker = {
        description = "Broker of the Queenpost fleet in ${home}";
        wantedBy = [ "multi-user.target" ];
        after = [ "network.target" ];
        # The broker takes a changed file over while it runs, all but who may reach it and where events travel.
        reloadTriggers = [ toml ];
        restartTriggers = [ (builtins.toJSON { inherit (cfg.settings) link mqtt; }) ];
        path = optional (cfg.mosquitto != null) cfg.mosquitto;
        startLimitIntervalSec = 60;
        startLimitBurst = 5;
        environment.XDG_RUNTIME_DIR = "/run/${cfg.name}";
        serviceConfig = common // strict // {
          ExecStart = "${command} --config /etc/${configPath} broker";
          ExecReload = "${command} apply";
          # Of this unit alone: where a group shares the socket, the broker opens the folder to it at its start.
          StateDirectory = cfg.name;
          StateDirectoryMode = "0700";
          RuntimeDirectory = cfg.name;
          RuntimeDirectoryMode = "0700";
          SupplementaryGroups = optional (cfg.settings.link.group != null) cfg.settings.link.group;
          Restart = "on-failure";
          # Another broker runs on this home: a further start would not change that.
          RestartPreventExitStatus = 3;
          TimeoutStopSec = 30;
        };
      };
    } // lib.optionalAttrs hosted {
      queenpost-harness = {
        description = "Harness of the Queenpost fleet in ${home}";
        wantedBy = [ "multi-user.target" ];
        # It finds a broker that was away by itself, and its agents' turns go on meanwhile.
        wants = [ "queenpost-broker.service" "network-online.target" ];
        after = [ "queenpost-broker.service" "network-online.target" ];
        startLimitIntervalSec = 60;
        startLimitBurst = 5;
        environment.HOME = home;
        inherit (cfg) path;
        # Agents are programs of all kinds: they have sandboxes of their own, compile as they run, and work in
        # folders that their settings name.
        serviceConfig = common // {
          ExecStart = "${command} harness";
          ProtectSystem = "full";
          Restart = "on-failure";
          KillMode = "mixed";
          TimeoutStopSec = 60;
        };
      };
    };
  };
}
