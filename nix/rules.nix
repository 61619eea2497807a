# What settings have to be beyond their types, in the words of the module's assertions. The broker checks the rest again
# when it reads the file; here it is said before anything is built.
{ lib, settings }:

let
  inherit (builtins) all attrNames concatLists concatStringsSep elem filter head match substring;

  names = attrNames settings.agents;
  agents = map (name: settings.agents.${name} // { inherit name; at = "services.queenpost.settings.agents.${name}"; }) names;
  accounts = map (name: settings.accounts.${name} // { inherit name; at = "services.queenpost.settings.accounts.${name}"; })
    (attrNames settings.accounts);
  managers = map (agent: agent.name) (filter (agent: agent.role == "manager") agents);
  inherit (settings) link mqtt;

  rule = assertion: message: { inherit assertion message; };
  inStore = path: lib.hasPrefix builtins.storeDir path;
  absolute = path: substring 0 1 path == "/";

  # Relative paths would start at /etc/queenpost, where the file lies and nothing else does.
  outside = at: path: allowed: rule (path == null || allowed (toString path)) "${at} has to be an absolute path";
  secret = at: path: rule (path == null || !inStore path)
    "${at} is in the Nix store, which everybody can read; name a file outside of it, as text: \"/run/secrets/…\"";

  ofAgent = agent: [
    (rule (match "[a-z][a-z0-9-]{0,30}" agent.name != null)
      "${agent.at}: a name is a lower-case letter, then up to 30 lower-case letters, digits and dashes")
    (rule (!elem agent.name [ "operator" "system" "reminder" "self" ]) "${agent.at}: that name is reserved; choose another")
    (rule (agent.name != "manager" || agent.role == "manager")
      "${agent.at}: only the agent with role = \"manager\" may be named manager")
    (rule (agent.backend != "command" || agent.command != [ ]) "${agent.at}: backend \"command\" needs a command")
    (rule (agent.backend != "scripted" || agent.script != null) "${agent.at}: backend \"scripted\" needs a script")
    (rule (agent.backend != "pty" || (agent.command != [ ] && agent.pty != null))
      "${agent.at}: backend \"pty\" needs a command, and a table pty")
    (rule
      (all (to: elem to ([ "manager" "operator" ] ++ names))
        (if agent.allowed_recipients == null then [ ] else agent.allowed_recipients))
      "${agent.at}.allowed_recipients names somebody who is no agent of this fleet")
    (outside "${agent.at}.workdir" agent.workdir absolute)
    (outside "${agent.at}.prompt" agent.prompt absolute)
    (outside "${agent.at}.command" (if agent.command == [ ] then null else head agent.command)
      (path: absolute path || match ".*/.*" path == null))
    (outside "${agent.at}.env_file" agent.env_file (path: absolute path || lib.hasPrefix "secrets/" path))
    (secret "${agent.at}.env_file" agent.env_file)
    (outside "${agent.at}.mcp" agent.mcp (path: absolute path || lib.hasPrefix "secrets/" path))
    (rule (all (to: to != agent.name && elem to ([ "manager" ] ++ names)) (attrNames agent.delegate))
      "${agent.at}.delegate names somebody who cannot decide")
    (rule (!agent.worktree || agent.workdir != null) "${agent.at}: worktree needs a workdir in a git repository")
    (rule (agent.account == null || elem agent.account ([ "default" ] ++ attrNames settings.accounts))
      "${agent.at}.account names one that is not declared")
  ];

  # What belongs to an MQTT broker that somebody else runs.
  foreign = filter (key: mqtt.${key} != null) [ "user" "password_file" "ca_file" "cert_file" "key_file" ];

  ofMqtt = at: [
    (rule (mqtt.url != null || foreign == [ ]) "${at}: ${concatStringsSep ", " foreign} needs url")
    (rule (mqtt.user == null || mqtt.password_file != null) "${at}: user needs password_file")
    (rule ((mqtt.cert_file == null) == (mqtt.key_file == null)) "${at}: cert_file and key_file go together")
    (outside "${at}.password_file" mqtt.password_file (path: absolute path || lib.hasPrefix "secrets/" path))
    (outside "${at}.ca_file" mqtt.ca_file absolute)
    (outside "${at}.cert_file" mqtt.cert_file absolute)
    (outside "${at}.key_file" mqtt.key_file (path: absolute path || lib.hasPrefix "secrets/" path))
    (secret "${at}.password_file" mqtt.password_file)
    (secret "${at}.key_file" mqtt.key_file)
  ];

  ofAccount = account: [
    (rule (match "[a-z][a-z0-9-]{0,30}" account.name != null)
      "${account.at}: a name is a lower-case letter, then up to 30 lower-case letters, digits and dashes")
    (rule (account.auth != "token" || account.token_file != null) "${account.at}: auth \"token\" needs a token_file")
    (rule (account.token_file == null || account.auth == null || account.auth == "token")
      "${account.at}: only auth \"token\" uses a token_file")
    (outside "${account.at}.token_file" account.token_file (path: absolute path || lib.hasPrefix "secrets/" path))
    (secret "${account.at}.token_file" account.token_file)
  ];
in
[
  (rule (builtins.length managers <= 1)
    "services.queenpost.settings.agents: a fleet has at most one manager; these say so: ${concatStringsSep ", " managers}")
  (rule (link.listen == null || (link.certificate != null && link.key != null))
    "services.queenpost.settings.link: listen needs certificate and key: no port is opened without TLS")
  (rule (link.listen == null || match ".+:[0-9]{1,5}" link.listen != null)
    "services.queenpost.settings.link.listen has to be host:port")
  (outside "services.queenpost.settings.link.certificate" link.certificate absolute)
  (outside "services.queenpost.settings.link.key" link.key absolute)
  (secret "services.queenpost.settings.link.key" link.key)
]
++ ofMqtt "services.queenpost.settings.mqtt"
++ concatLists (map ofAgent agents ++ map ofAccount accounts)
