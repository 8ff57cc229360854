# A value as TOML: tables in full, as nixpkgs' `formats.toml` would have them, if not as prettily.
{ lib }:
let
  key = name: builtins.toJSON name;
  isTable = value: builtins.isAttrs value && !value ? outPath;
  pair = name: value: "${key name} = ${inline value}";
  inline =
    value:
    if isTable value then
      "{ ${lib.concatStringsSep ", " (lib.mapAttrsToList pair value)} }"
    else if builtins.isList value then
      "[ ${lib.concatMapStringsSep ", " inline value} ]"
    else
      builtins.toJSON value;
  table =
    path: set:
    let
      values = lib.filterAttrs (_: value: !isTable value && value != null) set;
      tables = lib.filterAttrs (_: isTable) set;
      lines = lib.mapAttrsToList (name: value: "${key name} = ${inline value}\n") values;
      head = lib.optionalString (path != [ ] && lines != [ ]) (
        "\n[${lib.concatMapStringsSep "." key path}]\n"
      );
    in
    head
    + lib.concatStringsSep "" lines
    + lib.concatStringsSep "" (lib.mapAttrsToList (name: table (path ++ [ name ])) tables);
in
table [ ]
