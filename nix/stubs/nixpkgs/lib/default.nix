# The part of nixpkgs' `lib` that this repository uses, written for checks on machines without
# nixpkgs. A name that is not here is an error there: `make nix-check` finds what was not meant.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    elemAt
    filter
    foldl'
    fromTOML
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    readFile
    split
    stringLength
    substring
    ;
  lists = rec {
    inherit
      concatMap
      elem
      elemAt
      filter
      foldl'
      length
      map
      ;
    inherit (builtins)
      all
      any
      genList
      head
      ;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
    findFirst =
      wanted: otherwise: values:
      let
        found = filter wanted values;
      in
      if found == [ ] then otherwise else builtins.head found;
    take = count: values: map (elemAt values) (range 0 (trivial.min count (length values) - 1));
    range =
      first: last: if last < first then [ ] else builtins.genList (n: first + n) (last - first + 1);
  };
  attrsets = rec {
    inherit
      attrNames
      listToAttrs
      mapAttrs
      ;
    inherit (builtins) attrValues;
    nameValuePair = name: value: { inherit name value; };
    genAttrs = names: make: listToAttrs (map (name: nameValuePair name (make name)) names);
    mapAttrs' = make: set: listToAttrs (mapAttrsToList make set);
    mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
    mapAttrsRecursive =
      make: set:
      let
        below = path: mapAttrs (name: at (path ++ [ name ]));
        at = path: value: if builtins.isAttrs value then below path value else make path value;
      in
      below [ ] set;
    filterAttrs =
      wanted: set: removeAttrs set (filter (name: !wanted name set.${name}) (attrNames set));
    getAttrs = names: set: genAttrs names (name: set.${name});
    optionalAttrs = condition: set: if condition then set else { };
    getDev = package: package.dev or package;
    getLib = package: package.lib or package;
    getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname}";
  };
  strings = rec {
    inherit (builtins) concatStringsSep replaceStrings;
    toLower = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
      letters "abcdefghijklmnopqrstuvwxyz"
    );
    letters = text: lists.genList (at: substring at 1 text) (stringLength text);
    hasInfix = part: text: length (split (escapeRegex part) text) > 1;
    versionAtLeast = version: least: builtins.compareVersions version least >= 0;
    concatMapStringsSep =
      between: make: values:
      concatStringsSep between (map make values);
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        size = stringLength suffix;
      in
      stringLength text >= size && substring (stringLength text - size) size text == suffix;
    removePrefix =
      prefix: text:
      let
        size = stringLength prefix;
      in
      if hasPrefix prefix text then substring size (stringLength text) text else text;
    removeSuffix =
      suffix: text:
      let
        size = stringLength text - stringLength suffix;
      in
      if hasSuffix suffix text then substring 0 size text else text;
    makeLibraryPath = concatMapStringsSep ":" (package: "${attrsets.getLib package}/lib");
    splitString = between: text: filter isString (split (escapeRegex between) text);
    escapeRegex = replaceStrings [ "." "+" "/" ] [ "[.]" "[+]" "/" ];
    toInt =
      text:
      let
        value = fromTOML "value = ${text}";
      in
      if match "[0-9]+" text == null then throw "toInt: ${text} is not a number" else value.value;
  };
  trivial = {
    importTOML = path: fromTOML (readFile path);
    importJSON = path: builtins.fromJSON (readFile path);
    min = a: b: if a < b then a else b;
    boolToString = value: if value then "true" else "false";
    assertMsg = condition: text: if condition then true else throw text;
    warnIf =
      condition: text: value:
      if condition then builtins.trace "warning: ${text}" value else value;
    # `override` of a package says which arguments its recipe has, as in nixpkgs.
    functionArgs = function: function.__functionArgs or (builtins.functionArgs function);
  };
  modules = import ./modules.nix { inherit types; };
  types = import ./types.nix { inherit lists modules strings; };
  lib =
    trivial
    // lists
    // attrsets
    // strings
    // modules
    // {
      inherit types;
      inherit lists attrsets strings;
      literalExpression = text: {
        _type = "literalExpression";
        inherit text;
      };
      # Nothing is built here, so nothing is copied either.
      fileset = {
        toSource =
          { root, fileset }:
          {
            outPath = toString root;
            files = if isList fileset then fileset else throw "no file set";
          };
        unions = map (path: if builtins.pathExists path then toString path else throw "no ${path}");
      };
      licenses.asl20.spdxId = "Apache-2.0";
    };
in
lib
