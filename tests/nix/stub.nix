# As much of nixpkgs' `lib` as nix/ uses, so that the module can be evaluated where no copy of nixpkgs is at hand.
# Types say what they are and check as theirs do; errors read as theirs do.
rec {
  inherit (builtins) all any attrNames attrValues concatLists concatStringsSep elem filter fromJSON head isAttrs isBool
    isFloat isFunction isInt isList isString length listToAttrs map mapAttrs match;

  optional = yes: it: if yes then [ it ] else [ ];
  optionals = yes: them: if yes then them else [ ];
  optionalAttrs = yes: set: if yes then set else { };
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  splitString = separator: text: filter isString (builtins.split separator text);
  last = list: builtins.elemAt list (length list - 1);
  toInt = fromJSON;
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  literalExpression = text: { _type = "literalExpression"; inherit text; };

  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: mkOption { type = types.bool; default = false; description = "Whether to enable ${what}."; };
  mkIf = condition: content: { inherit condition content; };

  types = rec {
    simple = description: check: { inherit description check; resolve = path: it: it; getSubOptions = _: { }; };
    bool = simple "boolean" isBool;
    str = simple "string" isString;
    package = simple "package" (it: isAttrs it && it.type or null == "derivation");
    path = simple "absolute path" (it: builtins.isPath it || (isString it && hasPrefix "/" it));
    number = it: isInt it || isFloat it;
    between = what: check: low: high: simple "${what} between ${toString low} and ${toString high} (both inclusive)"
      (it: check it && it >= low && it <= high);
    ints.between = between "integer" isInt;
    numbers.between = between "integer or floating point number" number;
    strMatching = pattern: simple "string matching the pattern ${pattern}" (it: isString it && match pattern it != null);
    enum = values: simple "one of ${concatStringsSep ", " (map builtins.toJSON values)}" (it: elem it values);
    addCheck = type: check: type // { check = it: type.check it && check it; };
    nullOr = type: type // {
      description = "null or ${type.description}";
      check = it: it == null || type.check it;
      resolve = path: it: if it == null then null else type.resolve path it;
    };
    either = a: b: simple "${a.description} or ${b.description}" (it: a.check it || b.check it);
    listOf = type: simple "list of ${type.description}" (it: isList it && all type.check it);
    attrsOf = type: {
      description = "attribute set of ${type.description}";
      check = isAttrs;
      resolve = path: mapAttrs (name: checked type (path ++ [ name ]));
      getSubOptions = path: type.getSubOptions (path ++ [ "<name>" ]);
    };
    submodule = module: {
      description = "submodule";
      check = isAttrs;
      resolve = path: resolved module.options path;
      getSubOptions = _: module.options;
    };
  };

  shown = concatStringsSep ".";

  checked = type: path: it:
    if type.check it then type.resolve path it
    else throw "A definition for option `${shown path}' is not of type `${type.description}'.";

  # Fill in the defaults of a tree of options, and check what is said of them.
  resolved = options: path: said:
    let
      strangers = filter (name: !(options ? ${name})) (attrNames said);
      one = name: option:
        let at = path ++ [ name ]; in
        if option._type or null != "option" then resolved option at (said.${name} or { })
        else if said ? ${name} then checked option.type at said.${name}
        else if option ? default then option.type.resolve at option.default
        else throw "The option `${shown at}' was accessed but has no value defined.";
    in
    if strangers != [ ] then throw "The option `${shown (path ++ [ (head strangers) ])}' does not exist."
    else mapAttrs one options;

  # The configuration that a module makes of what a user says. One module only: nothing has to be merged.
  evalModule = { module, said, pkgs }:
    let
      made = import module { inherit pkgs config; lib = import ./stub.nix; };
      config = resolved made.options [ ] said;
    in
    config // optionalAttrs made.config.condition made.config.content;
}
