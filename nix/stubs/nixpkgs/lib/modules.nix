# A small evaluator of modules: declarations, definitions with conditions and priorities, imports.
# Undeclared definitions, missing values and values of a wrong type are errors, as in NixOS.
{ types }:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    isAttrs
    isFunction
    isList
    map
    mapAttrs
    ;
  isOption = value: isAttrs value && value._type or "" == "option";
  show = concatStringsSep ".";

  # One module as options, configuration and what it imports.
  normal =
    args: module:
    let
      isFile = !isFunction module && !isAttrs module;
      loaded = if isFile then import module else module;
      value = if isFunction loaded then loaded (named loaded) else loaded;
      named =
        function:
        let
          wanted = builtins.functionArgs function;
        in
        args // mapAttrs (name: _: args.${name} or (throw "no module argument ${name}")) wanted;
      long = value ? config || value ? options;
      rest = removeAttrs value [
        "imports"
        "_file"
        "key"
      ];
    in
    {
      file = value._file or (if isFile then baseNameOf module else "<module>");
      key = value.key or (if isFile then toString module else null);
      imports = value.imports or [ ];
      options = if long then value.options or { } else { };
      config = if long then value.config or { } else rest;
    };
  # What a module imports comes after all that stand beside it; then the last one is the first.
  collect =
    args: modules:
    foldl' (later: module: [ module ] ++ later) [ ] (
      once (withImports args (map (normal args) modules))
    );
  withImports =
    args: level:
    if level == [ ] then
      [ ]
    else
      level ++ withImports args (concatMap (module: map (normal args) module.imports) level);
  once = foldl' (
    seen: module:
    if module.key != null && builtins.any (other: other.key == module.key) seen then
      seen
    else
      seen ++ [ module ]
  ) [ ];

  declare =
    path: left: right:
    left
    // mapAttrs (
      name: value:
      if !left ? ${name} then
        value
      else if isOption value || isOption left.${name} then
        throw "option ${show (path ++ [ name ])} is declared twice"
      else
        declare (path ++ [ name ]) left.${name} value
    ) right;

  unwrap =
    condition: definition:
    let
      kind = if isAttrs definition.value then definition.value._type or "" else "";
      inner = definition.value;
      again = changes: unwrap condition (definition // changes);
    in
    if kind == "if" then
      condition definition again inner
    else if kind == "merge" then
      concatMap (value: again { inherit value; }) inner.contents
    else if kind == "override" then
      again {
        inherit (inner) priority;
        value = inner.content;
      }
    else if kind == "order" then
      again {
        order = inner.priority;
        value = inner.content;
      }
    else
      [ definition ];
  # A definition with what stands around it. The condition stays lazy: it may read the very option
  # set whose other members are defined below it.
  flatten = unwrap (
    definition: again: inner:
    again {
      holds = definition.holds && inner.condition;
      value = inner.content;
    }
  );
  # The same at an option, where what does not hold must not even be looked at.
  discharge =
    definition:
    if definition.holds then
      unwrap (
        _: again: inner:
        if inner.condition then again { value = inner.content; } else [ ]
      ) definition
    else
      [ ];
  below =
    name: definitions:
    concatMap (
      definition:
      if definition.value ? ${name} then
        [ (definition // { value = definition.value.${name}; }) ]
      else
        [ ]
    ) definitions;
  allBelow = name: definitions: concatMap flatten (below name definitions);

  strongest =
    definitions:
    let
      holding = concatMap discharge definitions;
      best = foldl' (least: d: if d.priority < least then d.priority else least) 9999 holding;
      position = definition: definition.order or 1000;
    in
    builtins.sort (a: b: position a < position b) (
      filter (definition: definition.priority == best) holding
    );

  evaluate =
    path: option: definitions:
    let
      byDefault =
        if option ? default then
          [
            {
              file = "default";
              holds = true;
              priority = 1500;
              value = option.default;
            }
          ]
        else
          [ ];
      present = definitions ++ byDefault;
      winning = strongest present;
      merged =
        if option.readOnly or false && builtins.length present > 1 then
          throw "option ${show path} is read-only, and set more than once"
        else if winning == [ ] && !(option.type or types.unspecified) ? empty then
          throw "option ${show path} is used but not defined"
        else
          (option.type or types.unspecified).merge path winning;
    in
    (option.apply or (value: value)) merged;

  resolve =
    path: tree: definitions:
    mapAttrs (
      name: node:
      let
        here = path ++ [ name ];
      in
      if isOption node then
        evaluate here node (below name definitions)
      else
        resolve here node (allBelow name definitions)
    ) (removeAttrs tree [ "_type" ]);

  undeclared =
    path: tree: definitions:
    concatMap (
      definition:
      concatMap (
        name:
        let
          here = path ++ [ name ];
        in
        if !tree ? ${name} then
          [ "${show here} (${definition.file})" ]
        else if isOption tree.${name} then
          [ ]
        else
          undeclared here tree.${name} (allBelow name [ definition ])
      ) (attrNames definition.value)
    ) definitions;

  evalModules =
    given@{
      modules,
      specialArgs ? { },
      prefix ? [ ],
      lib ? import ./default.nix,
      class ? null,
    }:
    assert elem class [
      null
      "nixos"
    ];
    let
      extendModules = { modules }: evalModules (given // { modules = given.modules ++ modules; });
      args = {
        inherit
          config
          extendModules
          lib
          options
          ;
      }
      // specialArgs;
      all = collect args modules;
      options = foldl' (declare prefix) { } (map (module: module.options) all);
      definitions = concatMap (
        module:
        flatten {
          inherit (module) file;
          holds = true;
          priority = 100;
          value = module.config;
        }
      ) all;
      unchecked = builtins.any (definition: !(definition.value._module.check or true)) definitions;
      strangers = if unchecked then [ ] else undeclared prefix options definitions;
      config =
        if strangers == [ ] then
          resolve prefix options definitions
        else
          throw "there is no option ${concatStringsSep ", " strangers}";
    in
    {
      inherit config options;
    };
  mkOverride = priority: content: {
    _type = "override";
    inherit content priority;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit content priority;
  };
in
{
  inherit
    discharge
    evalModules
    isOption
    mkOrder
    mkOverride
    strongest
    ;
  mkAfter = mkOrder 1500;
  mkBefore = mkOrder 500;
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: {
    _type = "option";
    type = types.bool;
    default = false;
    example = true;
    description = "Whether to enable ${what}.";
  };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge =
    contents:
    assert isList contents;
    {
      _type = "merge";
      inherit contents;
    };
  mkOptionDefault = mkOverride 1500;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
}
