# Option types of the names and descriptions that nixpkgs' `lib.types` has.
{
  lists,
  modules,
  strings,
}:
let
  inherit (builtins)
    attrNames
    concatMap
    isAttrs
    isBool
    isInt
    isList
    isString
    listToAttrs
    map
    toJSON
    ;
  inherit (lists) elem unique;
  inherit (strings) concatMapStringsSep concatStringsSep hasPrefix;
  show = concatStringsSep ".";
  shown = value: if isAttrs value || isList value then builtins.typeOf value else toJSON value;

  checked =
    description: check: path: definition:
    if check definition.value then
      definition.value
    else
      throw (
        "option ${show path}: ${shown definition.value} is not of type `${description}'"
        + " (${definition.file})"
      );
  # One value; definitions of one priority must agree.
  scalar = name: description: check: {
    inherit check description name;
    merge =
      path: definitions:
      let
        values = unique (map (checked description check path) definitions);
      in
      if builtins.length values == 1 then
        builtins.head values
      else
        throw "option ${show path} has conflicting values: ${toString (map shown values)}";
  };
  isPath = value: builtins.isPath value || value ? outPath || isString value && hasPrefix "/" value;
  # One member of a set or list, with its own conditions and priorities.
  member =
    type: path: definitions:
    type.merge path (modules.strongest definitions);

  attrsOf = type: {
    name = "attrsOf";
    description = "attribute set of ${type.description}";
    check = isAttrs;
    empty = { };
    merge =
      path: definitions:
      let
        sets = map (
          definition: builtins.seq (checked "attribute set" isAttrs path definition) definition
        ) definitions;
        names = unique (concatMap (set: attrNames set.value) sets);
        of =
          name:
          concatMap (
            set: if set.value ? ${name} then [ (set // { value = set.value.${name}; }) ] else [ ]
          ) sets;
        holding = builtins.filter (name: concatMap modules.discharge (of name) != [ ]) names;
      in
      listToAttrs (
        map (name: {
          inherit name;
          value = member type (path ++ [ name ]) (of name);
        }) holding
      );
  };
  listOf = type: {
    name = "listOf";
    # As nixpkgs says it: what is a choice stands in parentheses.
    description =
      "list of " + (if type.name == "enum" then "(${type.description})" else type.description);
    check = isList;
    empty = [ ];
    merge =
      path: definitions:
      concatMap (
        definition:
        map (value: member type path [ (definition // { inherit value; }) ]) (
          checked "list of ${type.description}" isList path definition
        )
      ) definitions;
  };
  # Sets are merged at every depth, as in the formats for JSON and TOML.
  tree = description: {
    name = "tree";
    inherit description;
    check = _: true;
    merge =
      path: definitions:
      if builtins.all (definition: isAttrs definition.value) definitions then
        if builtins.any (definition: definition.value ? outPath) definitions then
          (builtins.head definitions).value
        else
          (attrsOf (tree description)).merge path definitions
      else if builtins.all (definition: isList definition.value) definitions then
        concatMap (definition: definition.value) definitions
      else
        (scalar "tree" description (value: !isAttrs value && !builtins.isFunction value)).merge path
          definitions;
  };
  integer = description: check: scalar "int" description (value: isInt value && check value);
  text = between: {
    name = "separatedString";
    description = if between == "\n" then "strings concatenated with \"\\n\"" else "string";
    check = isString;
    empty = "";
    merge = path: given: concatStringsSep between (map (checked "string" isString path) given);
  };
in
rec {
  inherit attrsOf listOf;
  bool = scalar "bool" "boolean" isBool;
  str = scalar "str" "string" isString;
  int = integer "signed integer" (_: true);
  path = scalar "path" "absolute path" isPath;
  package = scalar "package" "package" (value: isAttrs value && value.type or "" == "derivation");
  ints.positive = integer "positive integer, meaning >0" (value: value > 0);
  enum =
    values:
    let
      description = "one of ${concatMapStringsSep ", " toJSON values}";
    in
    scalar "enum" description (value: elem value values);
  nullOr = type: {
    name = "nullOr";
    description = "null or ${type.description}";
    check = value: value == null || type.check value;
    merge =
      path: definitions:
      if builtins.all (definition: definition.value == null) definitions then
        null
      else
        type.merge path definitions;
  };
  either = left: right: {
    name = "either";
    description = "${left.description} or ${right.description}";
    check = value: left.check value || right.check value;
    merge =
      path: definitions:
      if builtins.all (definition: left.check definition.value) definitions then
        left.merge path definitions
      else
        right.merge path definitions;
  };
  # All definitions together are one module, which somebody else evaluates.
  deferredModule = {
    name = "deferredModule";
    description = "module";
    check = value: isAttrs value || builtins.isFunction value || isPath value;
    empty = { };
    merge = _: definitions: { imports = map (definition: definition.value) definitions; };
  };
  lines = text "\n";
  separatedString = text;
  attrs = tree "attribute set";
  anything = tree "anything";
  json = tree "JSON value";
  toml = tree "TOML value";
  unspecified = tree "unspecified value";
  raw = scalar "raw" "raw value" (_: true);
  submodule = module: {
    name = "submodule";
    description = "submodule";
    check = isAttrs;
    empty = { };
    merge =
      path: definitions:
      (modules.evalModules {
        prefix = path;
        modules = [ module ] ++ map (definition: { config = definition.value; }) definitions;
      }).config;
  };
}
