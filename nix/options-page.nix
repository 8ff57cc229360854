# docs/options.md: the options of the NixOS modules as Markdown, from their declarations.
{ lib, options }:
let
  isOption = value: value._type or "" == "option";
  flat =
    path: tree:
    lib.concatMap (
      name:
      let
        here = path ++ [ name ];
      in
      if isOption tree.${name} then
        [ (tree.${name} // { name = lib.concatStringsSep "." here; }) ]
      else
        flat here tree.${name}
    ) (lib.filter (name: name != "_type") (lib.attrNames tree));
  show =
    value:
    if value ? text then
      value.text
    else if builtins.isList value then
      if value == [ ] then "[ ]" else "[ ${lib.concatMapStringsSep " " show value} ]"
    else if value == { } then
      "{ }"
    else
      builtins.toJSON value;
  line = label: value: "- ${label}: `${show value}`\n";
  default =
    option:
    lib.optionalString (option ? default) (line "default" (option.defaultText or option.default));
  section =
    option:
    ''

      ## ${option.name}

      ${lib.removeSuffix "\n" option.description}

      - type: ${option.type.description}
      ${default option}''
    + lib.optionalString (option ? example) (line "example" option.example)
    + lib.optionalString (option.readOnly or false) "- read-only\n";
in
''
  # Options of the NixOS modules

  `nixosModules.handlers` declares `services.wamr-lab.handlers`, `nixosModules.node` both.
  This page is made from their declarations: `make nix-options`.
''
+ lib.concatMapStringsSep "" section (flat [ "services" "wamr-lab" ] options.services.wamr-lab)
