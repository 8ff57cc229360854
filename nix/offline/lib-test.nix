# The stand-in for nixpkgs' lib against what nixpkgs documents; the same cases hold for the real
# one, where NIXPKGS_LIB names it. A case that fails is an error.
{
  real ? false,
}:
let
  lib = if real then import (/. + builtins.getEnv "NIXPKGS_LIB") else import ../stubs/nixpkgs/lib;
  inherit (lib) mkOption types;
  config = modules: (lib.evalModules { inherit modules; }).config;
  int = mkOption { type = types.int; };
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
  a = {
    options.a = int;
  };
  ipv4 = import ../ipv4.nix { inherit lib; };
  toml = import ./toml.nix { inherit lib; };
  cases = {
    a-definition =
      (config [
        a
        { a = 1; }
      ]).a == 1;
    a-default-is-weaker =
      (config [
        a
        { a = lib.mkDefault 1; }
        { a = 2; }
      ]).a == 2;
    force-is-stronger =
      (config [
        a
        { a = lib.mkForce 1; }
        { a = 2; }
      ]).a == 1;
    a-conflict =
      fails
        (config [
          a
          { a = 1; }
          { a = 2; }
        ]).a;
    a-wrong-type =
      fails
        (config [
          a
          { a = "1"; }
        ]).a;
    undeclared =
      fails
        (config [
          a
          {
            a = 1;
            b = 1;
          }
        ]).a;
    undefined = fails (config [ a ]).a;
    # nixpkgs' own lib takes a second declaration of the same type.
    declared-twice =
      real
      ||
        fails
          (config [
            a
            { options.a = int; }
            { a = 1; }
          ]).a;
    same-key-counts-once =
      (config [
        (a // { key = "a"; })
        (a // { key = "a"; })
        { a = 1; }
      ]).a == 1;
    # What does not hold is not looked at, and a condition may read what stands beside it.
    a-condition =
      (config [
        a
        {
          options.on = mkOption {
            type = types.bool;
            default = false;
          };
        }
        (
          { config, ... }:
          {
            config = lib.mkIf (!config.on) { a = 1; };
          }
        )
        (
          { config, ... }:
          {
            config = lib.mkIf config.on { a = throw "looked at"; };
          }
        )
      ]).a == 1;
    both-conditions =
      (config [
        a
        { config = lib.mkIf false (lib.mkIf true { a = 1; }); }
        { a = 2; }
      ]).a == 2;
    lists-are-joined =
      (config [
        { options.l = mkOption { type = types.listOf types.int; }; }
        { l = [ 1 ]; }
        {
          l = lib.mkMerge [
            [ 2 ]
            (lib.mkIf false [ 3 ])
          ];
        }
      ]).l == [
        2
        1
      ];
    # The last module is the first, and what a module imports comes before all beside it.
    the-order-of-modules =
      (config [
        { options.l = mkOption { type = types.listOf types.int; }; }
        {
          imports = [ { l = [ 9 ]; } ];
          l = [ 1 ];
        }
        { l = [ 2 ]; }
      ]).l == [
        9
        2
        1
      ];
    sets-are-joined-by-name =
      (config [
        {
          options.s = mkOption {
            type = types.attrsOf types.int;
            default = {
              z = 9;
            };
          };
        }
        { s.x = 1; }
        {
          s = {
            x = lib.mkForce 2;
            y = lib.mkIf false 3;
          };
        }
      ]).s == {
        x = 2;
      };
    trees-are-joined =
      (config [
        { options.t = mkOption { type = types.toml or types.anything; }; }
        { t.a.b = lib.mkDefault 1; }
        {
          t.a = {
            b = 2;
            c = [ 1 ];
          };
        }
      ]).t == {
        a = {
          b = 2;
          c = [ 1 ];
        };
      };
    the-order-of-lines =
      (config [
        { options.l = mkOption { type = types.lines; }; }
        { l = lib.mkAfter "z"; }
        { l = "a"; }
        { l = lib.mkBefore "0"; }
      ]).l == "0\na\nz";
    either-of-two =
      let
        type = types.either (types.enum [ "auto" ]) types.ints.positive;
        of =
          d:
          (config [
            { options.d = mkOption { inherit type; }; }
            { inherit d; }
          ]).d;
      in
      of "auto" == "auto" && of 3 == 3 && fails (of (-1)) && fails (of "large");
    a-module-for-later =
      let
        later = {
          options.m = mkOption { type = types.deferredModule; };
        };
        inherit
          (config [
            later
            { m.a = 1; }
            { m.imports = [ a ]; }
          ])
          m
          ;
      in
      (config [ m ]).a == 1;
    set-at-every-depth =
      lib.mapAttrsRecursive (path: value: lib.concatStringsSep "." path + value) {
        a.b = "!";
        c = "?";
      } == {
        a.b = "a.b!";
        c = "c?";
      };
    texts =
      lib.toLower "Node-A.B" == "node-a.b"
      && lib.hasInfix "+a" "x+a"
      && !lib.hasInfix "b" "x+a"
      && lib.versionAtLeast "0.10" "0.7"
      && !lib.versionAtLeast "0.6.4" "0.7";
    a-submodule =
      (config [
        { options.s = mkOption { type = types.attrsOf (types.submodule a); }; }
        { s.one.a = 1; }
      ]).s.one.a == 1;
    read-only =
      fails
        (config [
          {
            options.r = mkOption {
              type = types.int;
              default = 1;
              readOnly = true;
            };
          }
          { r = 2; }
        ]).r;
    an-enum =
      fails
        (config [
          { options.e = mkOption { type = types.enum [ "x" ]; }; }
          { e = "y"; }
        ]).e;
    numbers = lib.toInt "21" == 21 && fails (lib.toInt "x");
    parts =
      lib.splitString "." "a.b" == [
        "a"
        "b"
      ]
      &&
        lib.take 2 [
          1
          2
          3
        ] == [
          1
          2
        ];

    a-range =
      ipv4.parse "10.88.0.0/21" == {
        first = 173539328;
        last = 173541375;
        prefixLength = 21;
        size = 2048;
      };
    no-ranges = lib.all (text: ipv4.parse text == null) [
      "10.88.0.1/21"
      "10.88.0.0"
      "10.88.0.0/33"
      "256.0.0.0/8"
      "a.b.c.d/8"
      "010.0.0.0/8"
    ];
    a-host = ipv4.hostOf "192.168.255.0/24" == "192.168.255.1";
    toml-is-read-again =
      let
        value = {
          v = 1;
          "a.b" = {
            on = true;
            l = [
              "x"
              { y = 1.5; }
            ];
          };
          e = { };
        };
      in
      fromTOML (toml value) == removeAttrs value [ "e" ];
  };
  wrong = lib.attrNames (lib.filterAttrs (_: holds: !holds) cases);
in
if wrong == [ ] then "ok" else throw "wrong: ${lib.concatStringsSep ", " wrong}"
