# Every setting of queenpost.toml as an option: the same names, bounds and defaults as in wire/settings.py, which a test
# compares in both directions. `null` means unset: the key does not stand in the file.
{ lib }:

let
  inherit (lib) mkOption types;

  option = type: default: description: mkOption { inherit type default description; };
  unset = type: option (types.nullOr type) null;
  positive = most: types.addCheck (types.numbers.between 0 most) (number: number > 0);
  text = types.str;
  file = types.either types.path types.str;

  pattern = types.strMatching "(.|\n){1,2000}";
  keys = types.strMatching "(.|\n|\r){1,200}";
  needed = type: description: mkOption { inherit type description; };

  # A table of its own below an agent: regular expressions over the rendered screen, and what is typed.
  pty = {
    ready = needed pattern "Its prompt, among the last lines of the screen: it waits for input.";
    busy = unset pattern "Stands among the last lines while it works; needed where the prompt stays there meanwhile.";
    answers = option
      (types.listOf (types.submodule {
        options = {
          screen = needed pattern "How a question looks that it puts on its screen.";
          send = unset keys "What is typed, whoever it is about.";
          allow = unset keys "It is a permission: what is typed where it is allowed.";
          deny = unset keys "What is typed where it is not.";
          always = unset keys "What is typed where it is allowed from now on. Unset: `allow`.";
        };
      })) [ ] "What it may ask on its screen; the first that fits counts.";
    failures = option
      (types.listOf (types.submodule {
        options = {
          screen = needed pattern "Words behind which it came back to its prompt without having done its work.";
          outcome = needed
            (types.enum [ "rate_limited" "overloaded" "auth" "credit" "bad_model" "offline" "context_full" ])
            "What they mean.";
        };
      })) [ ] "What may stand in the way of a turn.";
    forgets = unset pattern "Says that its history became a summary.";
    submit = option keys "\r" "Typed behind the prompt of a turn.";
    interrupt = option keys (builtins.fromJSON "\"\\u0003\"") "Ends what it does, and brings its prompt back.";
    quit = unset keys "Ends it. Unset: SIGTERM.";
    columns = option (types.ints.between 20 500) 120 "Columns of its terminal.";
    rows = option (types.ints.between 5 200) 40 "Rows of its terminal.";
    start_s = option (positive 3600) 60.0 "Seconds that the prompt may take to show after a start or an answer.";
    attach_s = option (types.numbers.between 0 3600) 10.0 "Seconds that it may then take to attach our tools.";
    settle_s = option (positive 60) 0.5 "Seconds that a prompt has to stand on the screen before it is believed.";
  };
in
{
  fleet = {
    name = unset (types.strMatching "[a-z0-9][a-z0-9-]{0,62}") ''
      Name of the fleet: lower-case letters, digits and dashes. Unset: that of the folder below /var/lib.
    '';
  };

  limits = {
    send_burst = option (types.ints.between 1 1000000) 120 "Messages that an agent may send at once.";
    send_per_minute = option (positive 10000000) 60.0 "Messages a minute that it may send for long.";
    inbox_messages = option (types.ints.between 1 1000000) 1000 "Messages that may wait in an inbox.";
    inbox_bytes = option (types.ints.between 1024 1099511627776) 16777216 "Bytes of mail that may wait in an inbox.";
    body_bytes = option (types.ints.between 256 524288) 24576 "Bytes of one message, in UTF-8.";
    disk_headroom_bytes = option (types.ints.between 0 1099511627776) 33554432 ''
      Sends from agents are refused while the disk has less free space than this.
    '';
    storm_messages = option (types.ints.between 2 1000000) 30 ''
      Messages of a pair or a cycle of agents within `storm_window_s`, each sent in a turn that held a peer's mail,
      before further ones are held.
    '';
    storm_window_s = option (positive 86400) 300.0 "Seconds in which they are counted.";
    storm_per_day = option (types.ints.between 2 10000000) 400 "The same within 24 hours.";
    storm_depth = option (types.ints.between 2 1000000) 256 ''
      Mail this deep in a chain of causes is held, however slow the chain is.
    '';
  };

  retention = {
    handled_days = option (types.numbers.between 7 36500) 30.0 ''
      Days that handled mail is kept, and asks and reminders that are over; a send's key lives as long.
    '';
    dead_days = option (types.numbers.between 7 36500) 30.0 "Days that dead mail is kept.";
    statistics_days = option (types.numbers.between 1 36500) 90.0 "Days that statistics are kept.";
  };

  mqtt = {
    url = unset (types.strMatching "mqtts?://[^[:space:]@]+") ''
      MQTT broker that carries the events of jobs: `mqtts://host:8883`, or `mqtt://` on a network that is trusted.
      Unset: the fleet has one of its own, on loopback.
    '';
    program = option (types.enum [ "auto" "mosquitto" "amqtt" ]) "auto" ''
      Which one its own is. `auto`: mosquitto where it is installed, see `services.queenpost.mosquitto`.
    '';
    topic_prefix = option (types.strMatching "(.|\n){1,200}") "queenpost/{fleet}" ''
      What the topics begin with; `{fleet}` is the name of the fleet.
    '';
    user = unset (types.strMatching "[!-~]{1,200}") "User at the MQTT broker that `url` names.";
    password_file = unset text ''
      File with the password, mode 0600, outside of the Nix store: an absolute path as text, or one that begins with
      `secrets/`, the folder in the home.
    '';
    ca_file = unset file "PEM file of certificates that are trusted instead of the system's; an absolute path.";
    cert_file = unset file "PEM file with the certificate of this fleet, where the MQTT broker asks for one.";
    key_file = unset text "PEM file with its private key, mode 0600, outside of the Nix store: an absolute path, as text.";
  };

  link = {
    listen = unset text "`host:port` on which the broker listens with TLS. Unset: no port is opened.";
    certificate = unset file "PEM file with the certificate chain; an absolute path.";
    key = unset text ''
      PEM file with its private key, mode 0600, outside of the Nix store: an absolute path, as text.
    '';
    group = unset text "Group that may use the socket. Unset: only the user that runs the broker.";
  };

  accounts = mkOption {
    default = { };
    description = "Logins at providers by name; agents share them.";
    type = types.attrsOf (types.submodule {
      options = {
        auth = unset (types.enum [ "token" "inherit" "own" ]) ''
          A key or token from a file; the login of the service's user; or a folder in the home that is logged in once.
          Unset: `token` where there is a `token_file`, else `inherit`.
        '';
        token_file = unset text ''
          File with the key or token, mode 0600, outside of the Nix store: an absolute path as text, or one that begins
          with `secrets/`, the folder in the home.
        '';
        token_variable = unset (types.strMatching "[A-Za-z_][A-Za-z0-9_]{0,99}") ''
          The variable of the program's environment that it goes into. Unset: the one that the program is known for.
        '';
        max_running = unset (types.ints.between 1 10000) "Turns at once. Unset: 1 for `inherit`, else any number.";
        max_warm = unset (types.ints.between 0 10000) ''
          Programs that stay between turns. Unset: one for each 400 MB of memory, over all accounts of a harness.
        '';
      };
    });
  };

  agents = mkOption {
    default = { };
    description = ''
      The agents of the fleet by name: a lower-case letter, then up to 30 lower-case letters, digits and dashes.
    '';
    example = { alice = { backend = "command"; command = [ "/srv/agents/alice.sh" ]; }; };
    type = types.attrsOf (types.submodule {
      options = {
        role = option (types.enum [ "agent" "manager" ]) "agent" "At most one agent of a fleet is its manager.";
        backend = option (types.enum [ "none" "command" "scripted" "claude" "codex" "gemini" "opencode" "pty" ]) "none" ''
          What runs its turns. `none`: no harness hosts it; it is a plain MCP client or a person at a command line.
        '';
        command = option (types.listOf text) [ ] ''
          Executable and leading arguments; needed by `command` and `pty`, for others where it is not on PATH.
        '';
        args = option (types.listOf text) [ ] "Further arguments, for the command or the script.";
        script = unset text "Name of the script that the `scripted` backend follows.";
        prompt = unset file ''
          File with the role prompt, put before the mail of every turn. A path of this configuration goes into the
          store, where everybody can read it.
        '';
        workdir = unset text "Where the program runs; an absolute path.";
        worktree = option types.bool false ''
          Work in a checkout of its own, on a branch `queenpost/NAME`, of the git repository that `workdir` is in.
        '';
        env = option (types.attrsOf text) { } ''
          Added to the program's environment. Not for secrets: it stands in the store and in the database.
        '';
        env_file = unset text ''
          File of NAME=VALUE lines, outside of the Nix store, that only the harness opens: an absolute path as text,
          or one that begins with `secrets/`, the folder in the home.
        '';
        allowed_recipients = unset (types.listOf text) ''
          To whom it may write. Unset: to anyone. Empty: only to the manager and the operator.
        '';
        uid = unset (types.ints.between 0 2147483648) ''
          On the socket its token is good only from this user id. Unset: from any.
        '';
        batch_max = option (types.ints.between 1 32) 32 "Messages handed over when a turn opens.";
        model = unset (types.strMatching "[!-~]{1,200}") "The model, in the program's own words. Unset: the program's choice.";
        account = unset (types.strMatching "[a-z][a-z0-9-]{0,30}") ''
          One of `accounts`. Unset: `default`, or one of its own where `env` or `env_file` holds a key.
        '';
        permissions = option (types.enum [ "ask" "edits" "deny" "bypass" ]) "ask" ''
          What becomes of a tool call that nothing allows yet: the operator is asked; edits in the workdir go through and
          the rest is asked; it is denied; or nothing is checked.
        '';
        allowed_tools = option (types.listOf (types.strMatching "[ -~]{1,1000}")) [ ] ''
          Tools that need no permission, in the program's own grammar; those of Queenpost never do.
        '';
        warm = option types.bool true "The program stays between turns, where it can; else a new process for each turn.";
        daily_budget_tokens = unset (types.ints.between 1 9007199254740992) ''
          Tokens, in and out, after which no more turns open until 00:00 UTC; the operator is asked. Unset: any number.
        '';
        daily_budget_usd = unset (positive 1000000) "The same in US dollars, by the program's own figures.";
        pty = unset (types.submodule { options = pty; }) ''
          What the program of the `pty` backend shows at its terminal, and what is typed there; docs/backends.md has
          examples.
        '';
        delegate = option (types.attrsOf (types.listOf text)) { } "Who decides which of its permission prompts: rules by agent.";
        mcp = unset file "JSON file with further MCP servers of its own; only the harness opens it.";
        "inherit" = option (types.listOf (types.enum [ "skills" "commands" "agents" "claude_md" "agents_md" "gemini_md" ])) [ ]
          "Parts of the user's own configuration that its folder gets.";
        notes_max_bytes = option (types.ints.between 0 1073741824) 32768 ''
          Notes larger than this are made shorter between turns; 0: never.
        '';
        silence_s = option (positive 86400) 900.0 ''
          Seconds without output after which a turn is told to finish, interrupted, at last killed.
        '';
      };
    });
  };
}
