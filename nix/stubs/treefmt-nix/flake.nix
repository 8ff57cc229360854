# Stands in for treefmt-nix where it cannot be had: the options that this repository sets. statix is
# not among them: treefmt lets it rewrite files, and it drops the defaults of `or` (docs/nix.md).
# Source: numtide/treefmt-nix ae7910970ddd (2026-08-05), module-options.nix and programs/.
{
  outputs = _: {
    lib.evalModule =
      pkgs: module:
      let
        inherit (pkgs.lib)
          evalModules
          mkOption
          optional
          types
          ;
        flag = mkOption {
          type = types.bool;
          default = false;
        };
        # What treefmt calls.
        declared =
          { config, ... }:
          let
            cfg = config.programs.deadnix;
          in
          {
            options = {
              projectRootFile = mkOption { type = types.nullOr types.str; };
              programs = {
                nixfmt.enable = flag;
                rustfmt.enable = flag;
                deadnix = {
                  enable = flag;
                  no-lambda-arg = flag;
                  no-lambda-pattern-names = flag;
                  no-underscore = flag;
                };
              };
              settings.excludes = mkOption {
                type = types.listOf types.str;
                default = [ ];
              };
              settings.formatter.deadnix.options = mkOption { type = types.listOf types.str; };
              build.wrapper = mkOption { type = types.package; };
              build.check = mkOption { type = types.raw; };
            };
            config = {
              settings.formatter.deadnix.options = [
                "--edit"
              ]
              ++ optional cfg.no-lambda-arg "--no-lambda-arg"
              ++ optional cfg.no-lambda-pattern-names "--no-lambda-pattern-names"
              ++ optional cfg.no-underscore "--no-underscore";
              build = {
                wrapper = pkgs.runCommand "treefmt" {
                  inherit (config) programs settings;
                  meta.mainProgram = "treefmt";
                } "";
                check = source: pkgs.runCommand "treefmt-check" { } "cd ${source}";
              };
            };
          };
      in
      evalModules {
        modules = [
          declared
          module
        ];
        specialArgs = { inherit pkgs; };
      };
  };
}
