# Settings as the text of a TOML file, at evaluation: nothing has to be built to see or to check it.
#
# Attribute sets become tables, `null` is left out, a path becomes its copy in the store. What is neither is an error.
let
  inherit (builtins) attrNames concatLists concatStringsSep filter isAttrs isBool isFloat isInt isList isPath isString
    match replaceStrings toJSON typeOf;

  # JSON's escapes are TOML's, but for this one character, which JSON leaves as it is.
  quoted = text: replaceStrings [ (builtins.fromJSON ''"\u007f"'') ] [ "\\u007F" ] (toJSON text);

  key = name: if match "[A-Za-z0-9_-]+" name != null then name else quoted name;

  value = it:
    if isString it then quoted it
    else if isPath it then quoted "${it}"
    else if isBool it || isInt it || isFloat it then toJSON it
    else if isList it then "[${concatStringsSep ", " (map value it)}]"
    else if isAttrs it then "{${concatStringsSep "," (map (name: " ${key name} = ${value it.${name}}") (set it))} }"
    else throw "queenpost.toml cannot hold a ${typeOf it}";

  set = table: filter (name: table.${name} != null) (attrNames table);

  # `inline` says of a table whether it is written on one line, within the one that it belongs to.
  tables = inline: path: table:
    let
      names = set table;
      isTable = name: isAttrs table.${name} && !inline (path ++ [ name ]);
      plain = map (name: "${key name} = ${value table.${name}}") (filter (name: !isTable name) names);
      header = if path == [ ] then [ ] else [ "[${concatStringsSep "." (map key path)}]" ];
    in
    (if plain == [ ] && path != [ ] && names != [ ] then [ ] else [ (header ++ plain) ])
    ++ concatLists (map (name: tables inline (path ++ [ name ]) table.${name}) (filter isTable names));
in
inline: settings: concatStringsSep "\n\n" (map (concatStringsSep "\n") (filter (t: t != [ ]) (tables inline [ ] settings))) + "\n"
